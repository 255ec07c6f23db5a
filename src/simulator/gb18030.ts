const decoder = new TextDecoder('gb18030');

let table: Map<string, Buffer> | undefined;

/** Every character of the basic plane with its bytes: what decoding all codes gives, turned round. */
function basicPlane(): Map<string, Buffer> {
  if (table) return table;
  const found = new Map<string, Buffer>();
  const take = (bytes: number[]) => {
    const text = decoder.decode(Buffer.from(bytes));
    if (text.length === 1 && text !== '\ufffd' && !found.has(text)) {
      found.set(text, Buffer.from(bytes));
    }
  };
  for (let code = 0; code < 0x80; code += 1) take([code]);
  for (let lead = 0x81; lead <= 0xfe; lead += 1) {
    for (let trail = 0x40; trail <= 0xfe; trail += 1) take([lead, trail]);
  }
  // Four bytes: 0x81308130 to 0x8431a439 are the rest of the basic plane.
  for (let index = 0; index < 39_420; index += 1) take(fourBytes(index));
  // The one character that a decoder also gives for an error, so that it is not taken above.
  found.set('\ufffd', Buffer.from([0x84, 0x31, 0xa4, 0x37]));
  table = found;
  return found;
}

function fourBytes(index: number): number[] {
  const last = 0x30 + (index % 10);
  const third = 0x81 + (Math.floor(index / 10) % 126);
  const second = 0x30 + (Math.floor(index / 1260) % 10);
  return [0x81 + Math.floor(index / 12_600), second, third, last];
}

/**
 * Encodes a text in GB18030, which contains GBK; Node decodes it but does not encode it.
 *
 * @throws RangeError for half of a surrogate pair, and for the few characters for private use
 *   that no bytes decode to, since editions of GB18030 moved them (U+E5E5, U+E78D and others)
 */
export function encodeGb18030(text: string): Buffer {
  const plane = basicPlane();
  const pieces = Array.from(text, (character) => {
    const code = character.codePointAt(0) as number;
    // The other planes lie in one run from 0x90308130 on.
    if (code > 0xffff) return Buffer.from(fourBytes(code - 0x10000 + 189_000));
    const bytes = plane.get(character);
    if (!bytes) throw new RangeError(`GB18030 has no bytes for U+${code.toString(16)}`);
    return bytes;
  });
  return Buffer.concat(pieces);
}
