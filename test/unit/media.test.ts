import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { proposedName } from '../../src/core/file-name.ts';
import { checkMedia, MEDIA_TYPES, type MediaFormat, mediaFormat } from '../../src/core/media.ts';
import { soundLength } from '../../src/core/sound.ts';
import { amr, mp3, picture, SAMPLES, wideAmr } from '../support/media-files.ts';

const MIB = 1_048_576;

describe('a file to upload', () => {
  it.each([
    ['image', picture('jpg', 2 * MIB), picture('jpg', 2 * MIB + 1), 'image takes up to 2097152'],
    ['image', picture('png', 1000), Buffer.alloc(0), 'it is empty'],
    ['thumb', picture('jpg', 64 * 1024), picture('jpg', 64 * 1024 + 1), 'thumb takes up to 65536'],
    [
      'voice',
      Buffer.concat([amr(10), Buffer.alloc(2 * MIB - amr(10).length, 0x70)]),
      Buffer.concat([amr(10), Buffer.alloc(2 * MIB - amr(10).length + 1, 0x70)]),
      'voice takes up to 2097152',
    ],
    ['voice', amr(3000), amr(3001), 'it plays for 60.02 s; voice takes up to 60 s'],
    ['voice', wideAmr(3000), wideAmr(3001), 'it plays for 60.02 s'],
    // An encoder's three frames of padding are no sound.
    ['voice', mp3(2503), mp3(2504), 'it plays for 60.02 s'],
  ] as const)('of type %s is checked on both sides of its limit', (type, good, bad, fault) => {
    expect(checkMedia(type, good)).toHaveProperty('format');
    expect(checkMedia(type, bad)).toEqual({ fault: expect.stringContaining(fault) });
  });

  it('is taken in the formats of its type alone, whatever its name', () => {
    const allowed = Object.fromEntries(
      MEDIA_TYPES.map((type) => [
        type,
        (Object.keys(SAMPLES) as MediaFormat[]).filter((format) => {
          const checked = checkMedia(type, SAMPLES[format]);
          return 'format' in checked && checked.format === format;
        }),
      ]),
    );
    expect(allowed).toEqual({
      image: ['png', 'jpg', 'gif'],
      voice: ['amr', 'mp3'],
      thumb: ['jpg'],
    });
    const text = checkMedia('image', Buffer.from('<html>'));
    expect(text).toEqual({
      fault: 'image takes png, jpg, gif, and it is none of them by its first bytes',
    });
  });

  it('without any sound in it is no voice', () => {
    const empty = Buffer.from('#!AMR\n');
    expect(checkMedia('voice', empty)).toEqual({ fault: expect.stringContaining('no sound') });
    expect(checkMedia('voice', Buffer.from('ID3\x04\0\0\0\0\0\x05abcde'))).toHaveProperty('fault');
  });

  it('of any bytes is checked without failing', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...MEDIA_TYPES),
        fc.constantFrom(...Object.values(SAMPLES), Buffer.alloc(0)),
        fc.uint8Array({ maxLength: 400 }),
        (type, head, rest) => {
          const checked = checkMedia(type, Buffer.concat([head, rest]));
          expect('format' in checked || checked.fault.length > 0).toBe(true);
        },
      ),
    );
  });
});

describe('the length of a sound', () => {
  it('counts frames behind a tag, without the table of an encoder, and past what is none', () => {
    const tag = Buffer.from([0x49, 0x44, 0x33, 4, 0, 0, 0, 0, 1, 0, ...Array(128).fill(0xff)]);
    const table = Buffer.from(mp3(1));
    table.write('Xing', 36, 'latin1');
    const noise = Buffer.from('not a frame');
    const whole = Buffer.concat([tag, table, mp3(50), noise, mp3(53)]);
    expect(mediaFormat(whole)).toBe('mp3');
    expect(soundLength('mp3', whole)).toBe(100 * 24);
    // As long as its tag says to be: what lies in it is no sound.
    expect(soundLength('mp3', Buffer.concat([tag, mp3(53)]))).toBe(50 * 24);
  });

  it('is that of MPEG 2 as well, whose frames are shorter', () => {
    const frame = Buffer.alloc(104);
    frame.set([0xff, 0xf3, 0x40, 0x00]);
    // 22,050 Hz and 32 kbit/s: 576 samples, 104 bytes.
    const length = soundLength('mp3', Buffer.concat(Array<Buffer>(103).fill(frame)));
    expect(length).toBeCloseTo((100 * 576 * 1000) / 22_050, 3);
  });

  it('ends where an AMR frame has a mode that is not in use', () => {
    const broken = Buffer.from([0x58, 1, 2, 3]);
    expect(soundLength('amr', Buffer.concat([amr(5), broken, amr(5)]))).toBe(100);
  });
});

describe('a proposed file name', () => {
  it.each([
    ['attachment; filename="MEDIA_ID.jpg"', 'MEDIA_ID.jpg'],
    ['attachment; filename=a-1.png; size=3', 'a-1.png'],
    ['inline; FileName="x.amr"', 'x.amr'],
    ['attachment; filename="../../etc/passwd"', null],
    ['attachment; filename="/etc/passwd"', null],
    ['attachment; filename="..\\\\x"', null],
    ['attachment; filename=".bashrc"', null],
    ['attachment; filename="-rf"', null],
    ['attachment; filename="a\u0000.jpg"', null],
    ['attachment; filename="张三.jpg"', null],
    [`attachment; filename="${'a'.repeat(101)}"`, null],
    ['attachment; filename=""', null],
    ['attachment', null],
    [null, null],
  ])('%s is taken as %s', (disposition, name) => {
    expect(proposedName(disposition)).toBe(name);
  });

  it('is never a way out of the folder', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const name = proposedName(`attachment; filename="${text}"`);
        expect(name === null || /^\w[\w.-]*$/.test(name)).toBe(true);
      }),
    );
  });
});
