import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';

/** The key that seals and opens secrets; it shows nothing of itself when printed. */
export type MasterKey = KeyObject;

/** What a sealed text begins with, in any version. */
const SEALED = 'sealed:';

/** What a sealed text of this release begins with. */
const V1 = 'sealed:v1:';

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const TAG_BYTES = 16;

/** Length of a nonce, which must be random and fresh for each seal, in bytes. */
export const NONCE_BYTES = 12;

/** What came of opening a sealed text: the secret, or why it stays shut. */
export type Opened =
  | { readonly secret: string }
  /**
   * `version`: made by another release; `form`: cut, or not made by us at all; `refused`: another
   * master key, another context, or an altered text (by design no one can tell which).
   */
  | { readonly fault: 'version' | 'form' | 'refused' };

/**
 * Reads a master key: 32 bytes as 64 hex digits or as base64 (either alphabet, padded or not).
 *
 * @example readMasterKey('00112233…') // null unless it is exactly 32 bytes
 */
export function readMasterKey(text: string): MasterKey | null {
  const trimmed = text.trim();
  const bytes = /^[0-9a-f]{64}$/i.test(trimmed) ? Buffer.from(trimmed, 'hex') : readBase64(trimmed);
  return bytes?.length === KEY_BYTES ? createSecretKey(bytes) : null;
}

/** Whether a text claims to be sealed, by this release or another. */
export function isSealed(text: string): boolean {
  return text.startsWith(SEALED);
}

/**
 * Seals a secret: `sealed:v1:` and base64url of nonce, AES-256-GCM ciphertext and tag.
 *
 * @param context what the secret is for; it opens under the same context only
 * @param nonce 12 random bytes, never used before with this key: a second use gives both secrets away
 * @throws RangeError for a nonce of another length
 * @example seal('0123…', key, 'VCC_BASE_KEY', nonce) // "sealed:v1:…"
 */
export function seal(secret: string, key: MasterKey, context: string, nonce: Buffer): string {
  if (nonce.length !== NONCE_BYTES) throw new RangeError(`a nonce has ${NONCE_BYTES} bytes`);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(boundTo(context));
  const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
  return V1 + Buffer.concat([nonce, text, cipher.getAuthTag()]).toString('base64url');
}

/**
 * Opens a sealed text; what was cut, altered or sealed otherwise gives nothing, not even in part.
 *
 * @param context as it was sealed
 */
export function openSealed(sealed: string, key: MasterKey, context: string): Opened {
  if (!sealed.startsWith(V1)) return { fault: isSealed(sealed) ? 'version' : 'form' };
  const bytes = readBase64(sealed.slice(V1.length));
  if (bytes === null || bytes.length < NONCE_BYTES + TAG_BYTES) return { fault: 'form' };
  const nonce = bytes.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(boundTo(context));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    const start = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
    return { secret: Buffer.concat([start, decipher.final()]).toString('utf8') };
  } catch {
    return { fault: 'refused' };
  }
}

/** The additional authenticated data: without it one sealed secret could stand in another's place. */
function boundTo(context: string): Buffer {
  return Buffer.from(`vcc-sync ${V1}${context}`, 'utf8');
}

/** Strict, unlike Node's own reading, which skips what it does not know and forgives spare bits. */
function readBase64(text: string): Buffer | null {
  const plain = text
    .replace(/={1,2}$/, '')
    .replaceAll('+', '-')
    .replaceAll('/', '_');
  const bytes = Buffer.from(plain, 'base64url');
  return bytes.toString('base64url') === plain ? bytes : null;
}
