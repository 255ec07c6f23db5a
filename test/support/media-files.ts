import type { MediaFormat } from '../../src/core/media.ts';

/** The first bytes of each format that has no frames. */
const HEADS: Readonly<Record<'png' | 'jpg' | 'gif', string>> = {
  png: '89504e470d0a1a0a',
  jpg: 'ffd8ffe0',
  gif: Buffer.from('GIF89a').toString('hex'),
};

/** A picture by its first bytes, filled up to a length. */
export function picture(format: 'png' | 'jpg' | 'gif', length = 200): Buffer {
  return Buffer.concat([Buffer.from(HEADS[format], 'hex'), Buffer.alloc(length)]).subarray(
    0,
    length,
  );
}

/** AMR of so many frames of 20 ms, at 12.2 kbit/s. */
export function amr(frames: number): Buffer {
  const frame = Buffer.alloc(32);
  frame[0] = 0x3c;
  return Buffer.concat([Buffer.from('#!AMR\n'), ...Array<Buffer>(frames).fill(frame)]);
}

/** Wide-band AMR of so many frames of 20 ms, at 23.85 kbit/s. */
export function wideAmr(frames: number): Buffer {
  const frame = Buffer.alloc(61);
  frame[0] = 0x44;
  return Buffer.concat([Buffer.from('#!AMR-WB\n'), ...Array<Buffer>(frames).fill(frame)]);
}

/** MP3 of so many frames of 24 ms, at 48 kHz and a bit rate of 32 kbit/s; no encoder's table. */
export function mp3(frames: number): Buffer {
  const frame = Buffer.alloc(96);
  frame.set([0xff, 0xfb, 0x14, 0x00]);
  return Buffer.concat(Array<Buffer>(frames).fill(frame));
}

/** One small file of each format. */
export const SAMPLES: Readonly<Record<MediaFormat, Buffer>> = {
  png: picture('png'),
  jpg: picture('jpg'),
  gif: picture('gif'),
  amr: amr(10),
  mp3: mp3(10),
};
