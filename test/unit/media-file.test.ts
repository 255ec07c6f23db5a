import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { openMediaFile } from '../../src/cli/media-file.ts';
import { picture } from '../support/media-files.ts';

it('a file is read from its beginning again, though reading it was broken off', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vcc-sync-'));
  try {
    const content = picture('png', 300_000);
    const path = join(folder, 'picture.png');
    await writeFile(path, content);
    const file = await openMediaFile(path, 'image');
    // As where the platform refuses the token before all of the file has been sent.
    for await (const piece of file.open()) {
      expect(piece.length).toBeLessThan(content.length);
      break;
    }
    expect(content.equals(await buffer(file.open()))).toBe(true);
    await file.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});
