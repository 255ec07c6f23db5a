import { type Command, InvalidArgumentError, Option } from 'commander';
import { proposedName } from '../core/file-name.ts';
import { MEDIA_TYPES, type MediaType } from '../core/media.ts';
import { MEDIA_ID, type UploadedMedia } from '../vcc/media.ts';
import { run } from './action.ts';
import { openMediaFile } from './media-file.ts';
import { chinaTime, isoTime, type Listing, printRows } from './output.ts';
import { CALL_SETTINGS, type CallSurroundings, openPlatform } from './platform.ts';
import { isStdout, printBytes, saveBytes } from './saved-file.ts';

/** Adds `media upload` and `media get`: files at the platform (2001, 2002). */
export function registerMedia(program: Command): void {
  const media = program.command('media').description('upload and download files at the platform');
  media
    .command('upload')
    .description('upload a file and print the id under which it can be had')
    .argument('<file>', 'the file; see below for what is allowed')
    .addOption(
      new Option('--type <type>', 'what the file is').choices(MEDIA_TYPES).makeOptionMandatory(),
    )
    .option('--json', 'print a JSON array')
    .addHelpText(
      'after',
      [
        '\nimage: PNG, JPEG or GIF, up to 2 MiB. voice: AMR or MP3, up to 2 MiB and 60 s. thumb: JPEG, up',
        "to 64 KiB. Size and format are checked before anything is sent, by the file's content; its",
        'name is not sent.',
      ].join('\n'),
    )
    .action(run(CALL_SETTINGS, upload));
  media
    .command('get')
    .description('download a file by its id')
    .argument('<id>', 'what media upload printed', readMediaId)
    .option(
      '-o, --output <file>',
      'where to write it, replacing what is there; - is stdout, a terminal too',
    )
    .addHelpText(
      'after',
      '\nWithout --output it goes to this folder, under the name that the platform gives it if that is a plain\none, else under its id; a file that is there already is left alone.',
    )
    .action(run(CALL_SETTINGS, get));
}

function readMediaId(text: string): string {
  if (MEDIA_ID.test(text)) return text;
  throw new InvalidArgumentError('expected up to 64 letters, digits, - or _.');
}

async function upload(
  surroundings: CallSurroundings,
  path: string,
  { type, json }: { readonly type: MediaType; readonly json?: boolean },
): Promise<0> {
  const file = await openMediaFile(path, type);
  surroundings.defer(() => file.close());
  const { client, signal } = await openPlatform(surroundings);
  const uploaded = await client.uploadMedia(file, signal);
  printRows([{ ...uploaded, type }], UPLOADS, { json, out: surroundings.out });
  return 0;
}

const UPLOADS: Listing<UploadedMedia & { readonly type: MediaType }> = {
  empty: '',
  columns: [
    { title: 'MEDIA', text: ({ mediaId }) => mediaId },
    { title: 'TYPE', text: ({ type }) => type },
    { title: 'CREATED', text: ({ createdAt }) => chinaTime(createdAt) },
  ],
  record: ({ mediaId, type, createdAt }) => ({
    media_id: mediaId,
    type,
    created_at: isoTime(createdAt),
  }),
};

async function get(
  surroundings: CallSurroundings,
  mediaId: string,
  { output }: { readonly output?: string },
): Promise<0> {
  const { client, signal } = await openPlatform(surroundings);
  const file = await client.getMedia(mediaId, signal);
  const prints = output !== undefined && isStdout(output);
  // An id may begin with a dash: what is printed here is to be taken for a path wherever it is pasted.
  const path = output ?? proposedName(file.disposition) ?? `./${mediaId}`;
  try {
    if (prints) await printBytes(file.body);
    else await saveBytes(file.body, { path, mayReplace: output !== undefined });
  } finally {
    file.stop();
  }
  if (!prints) surroundings.out.line(path);
  return 0;
}
