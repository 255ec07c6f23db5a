/**
 * What the simulator answers when it refuses. The document's list is empty (P5): the two token codes
 * are those of sibling gateways, all others are made up.
 */
export const RESULT_CODES = {
  TOKEN_UNKNOWN: '20001',
  TOKEN_EXPIRED: '40058',
  WRONG_METHOD: '91001',
  UNKNOWN_PATH: '91002',
  BAD_PARAMETER: '91003',
  BAD_SEQ: '91011',
  WRONG_INTERFACE: '91012',
  SEQ_OUT_OF_TIME: '91013',
  SEQ_USED: '91014',
  BAD_SIGN: '91021',
  SIGN_MISSING: '91022',
  UNKNOWN_APP: '91023',
  NOT_GRANTED: '91031',
  BEFORE_REACH: '91041',
  WINDOW_TOO_LONG: '91042',
  DOWNLOAD_UNDER_WAY: '91043',
  UNKNOWN_SUBSCRIBER: '91051',
  BAD_MEDIA: '91061',
  UNKNOWN_MEDIA: '91062',
  INTERNAL: '91099',
} as const;

/** Why a call is refused: what the error body holds (P5). */
export interface Refusal {
  readonly resultCode: string;
  readonly resultMsg: string;
}

/** A refusal with one of the codes. */
export function refusal(code: keyof typeof RESULT_CODES, resultMsg: string): Refusal {
  return { resultCode: RESULT_CODES[code], resultMsg };
}
