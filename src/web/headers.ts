/** Nothing is loaded from elsewhere, nothing runs inline, nobody may frame us. */
const DIRECTIVES = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  imgSrc: ["'self'"],
  connectSrc: ["'self'"],
  formAction: ["'self'"],
  baseUri: ["'none'"],
  frameAncestors: ["'none'"],
};

/** Headers that every answer has. */
export const HEADERS = {
  contentSecurityPolicy: { useDefaults: false, directives: DIRECTIVES },
  referrerPolicy: { policy: 'same-origin' },
  // Whether TLS is spoken is the business of the proxy before us.
  strictTransportSecurity: false,
} as const;

/**
 * What Bull Board's own page needs beyond that, and no other page has: its editor writes style sheets
 * at run time (and where text is typed over, the browser itself writes style attributes) and draws with
 * data URLs, code is coloured in a worker, and its router reads the `base`. Scripts stay ours alone.
 */
export const BOARD_HEADERS = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      ...DIRECTIVES,
      styleSrc: ["'self'", "'unsafe-inline'"],
      imgSrc: ["'self'", 'data:'],
      workerSrc: ["'self'"],
      baseUri: ["'self'"],
    },
  },
};
