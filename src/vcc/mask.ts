const LONGEST = 200;

/**
 * Makes a text from outside fit for a message: no control characters, no secret, no run of seven
 * or more digits (a phone number, perhaps), at most 200 characters (P5, design invariant 9).
 *
 * @param secrets texts that must not appear: tokens, keys, signs
 * @example maskOutside('call 13800138000', []) // 'call ***'
 */
export function maskOutside(text: string, secrets: readonly string[]): string {
  let masked = text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  for (const secret of new Set(secrets)) masked = maskSecret(masked, secret);
  masked = masked.replace(/\p{Nd}{7,}/gu, '***');
  const characters = [...masked];
  return characters.length <= LONGEST ? masked : `${characters.slice(0, LONGEST - 1).join('')}…`;
}

/** Gateways echo parameters in either case, and URL-encoded as well. */
function maskSecret(text: string, secret: string): string {
  if (secret === '') return text;
  const forms = [secret, encodeURIComponent(secret)].map((form) =>
    form.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'),
  );
  return text.replace(new RegExp(forms.join('|'), 'gi'), '***');
}
