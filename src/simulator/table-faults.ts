import { z } from 'zod';
import type { Dataset } from '../core/dataset.ts';
import { REJECT_REASONS } from '../core/table/row.ts';
import { DATASETS } from '../datasets/catalogue.ts';
import { addBadLines, MOST_BAD_LINES } from './bad-lines.ts';
import { type Act, bodyOf, onTable, type TableScene, wholeWire } from './fault.ts';
import { encodeGb18030 } from './gb18030.ts';
import { integer, pick, type Random } from './random.ts';
import { tableHeader } from './table-body.ts';

const TEXT = 'text/plain;charset=UTF-8';
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const NAMES = ['GBK', 'UTF-8', 'none'] as const;
const MEGABYTE = 1_000_000;

interface Table {
  readonly header: readonly string[];
  readonly lines: readonly string[];
}

function tableOf({ answer }: TableScene): Table {
  const [header = '', ...lines] = bodyOf(answer).toString('utf8').replace(/\n$/, '').split('\n');
  return { header: header.split('|'), lines };
}

/** The same table with the fields of header and lines laid out anew. */
function laidOut(
  scene: TableScene,
  layOut: (fields: readonly string[], isHeader: boolean) => readonly string[],
): Act {
  const { header, lines } = tableOf(scene);
  const text = [layOut(header, true), ...lines.map((line) => layOut(line.split('|'), false))].map(
    (fields) => `${fields.join('|')}\n`,
  );
  return whole(Buffer.from(text.join('')));
}

function whole(body: Buffer, contentType = TEXT): Act {
  return { wire: wholeWire(body, contentType) };
}

/** The same table with bad lines added between the right ones. */
function withBadLines(
  scene: TableScene,
  { count, ...how }: { count: number; reasons: z.output<typeof reasons>; length?: number },
): Act {
  const { header, lines } = tableOf(scene);
  const { dataset, orgCode, random } = scene;
  const most = Math.min(count, MOST_BAD_LINES);
  const { lines: all, badLines } = addBadLines(lines, {
    dataset,
    orgCode,
    random,
    count: most,
    ...how,
  });
  const end = Buffer.from('\n');
  const pieces = [Buffer.from(header.join('|')), ...all].flatMap((line) => [line, end]);
  return { ...whole(Buffer.concat(pieces)), badLines };
}

const reasons = z
  .array(z.enum(REJECT_REASONS))
  .min(1)
  .default([...REJECT_REASONS]);
const few = z.strictObject({ count: z.int().min(1).max(MOST_BAD_LINES).default(3) });
const drawFew = (random: Random) => ({ count: integer(random, 1, 6) });

const place = z.strictObject({
  /** Number of the column concerned, from 0; past the end it begins again. */
  column: z.int().min(0).default(0),
});
const drawPlace = (random: Random) => ({ column: integer(random, 0, 12) });

/** Position in the header of one of the columns that a table must have, or need not have. */
function columnOf({ columns }: Dataset, required: boolean, column: number): number {
  const positions = columns.flatMap((each, index) => (each.required === required ? [index] : []));
  return positions[column % positions.length] as number;
}

/** Faults of a table's form and charset. */
export const FORM_FAULTS = {
  'duplicate-column': onTable({
    about: 'a known column stands in the header twice',
    delivers: 'nothing',
    weight: 1,
    parameters: place,
    draw: drawPlace,
    play: ({ column }, scene) =>
      laidOut(scene, (fields) => [...fields, fields[column % fields.length] as string]),
  }),
  'reordered-columns': onTable({
    about: 'the columns stand in another order',
    delivers: 'data',
    weight: 2,
    parameters: z.strictObject({}),
    play: (_, scene) => laidOut(scene, (fields) => [...fields].reverse()),
  }),
  'missing-required-column': onTable({
    about: 'a column that must be there is missing',
    delivers: 'nothing',
    weight: 1,
    parameters: place,
    draw: drawPlace,
    play: ({ column }, scene) => {
      const missing = columnOf(scene.dataset, true, column);
      return laidOut(scene, (fields) => fields.filter((_, index) => index !== missing));
    },
  }),
  'missing-optional-column': onTable({
    about: 'a column that need not be there is missing: what was stored in it stays',
    delivers: 'data without a column',
    // A copy can not become equal by itself after that, so it never comes by chance.
    weight: 0,
    parameters: place,
    draw: drawPlace,
    play: ({ column }, scene) => {
      const missing = columnOf(scene.dataset, false, column);
      return laidOut(scene, (fields) => fields.filter((_, index) => index !== missing));
    },
  }),
  'extra-column': onTable({
    about: 'a column that no document names',
    delivers: 'data',
    weight: 2,
    parameters: place.extend({
      name: z
        .string()
        .regex(/^[^|\r\n]+$/)
        .default('备注'),
    }),
    draw: drawPlace,
    play: ({ column, name }, scene) =>
      laidOut(scene, (fields, isHeader) => {
        const all = [...fields];
        all.splice(column % (fields.length + 1), 0, isHeader ? name : 'extra');
        return all;
      }),
  }),
  gbk: onTable({
    about: 'the table is in GBK (GB18030), named so, named UTF-8 or not named',
    delivers: 'data',
    weight: 2,
    parameters: z.strictObject({ named: z.enum(NAMES).default('GBK') }),
    draw: (random) => ({ named: pick(random, NAMES) }),
    play: ({ named }, { answer }) =>
      whole(
        encodeGb18030(bodyOf(answer).toString('utf8')),
        named === 'none' ? 'text/plain' : `text/plain;charset=${named}`,
      ),
  }),
  bom: onTable({
    about: 'a byte order mark stands before the header',
    delivers: 'data',
    weight: 2,
    parameters: z.strictObject({}),
    play: (_, { answer }) => whole(Buffer.concat([BOM, bodyOf(answer)])),
  }),
  crlf: onTable({
    about: 'lines end with CRLF, and the last one not at all',
    delivers: 'data',
    weight: 2,
    parameters: z.strictObject({}),
    play: (_, { answer }) => {
      const text = bodyOf(answer).toString('utf8').replace(/\n$/, '');
      return whole(Buffer.from(text.replaceAll('\n', '\r\n')));
    },
  }),
  'wrong-table': onTable({
    about: 'a table of another dataset',
    delivers: 'nothing',
    weight: 1,
    parameters: place,
    draw: drawPlace,
    play: ({ column }, { dataset, orgCode }) => {
      const others = DATASETS.filter(({ name }) => name !== dataset.name);
      const other = others[column % others.length] as Dataset;
      const fields = other.columns.map(({ name }) => (name === 'org_code' ? orgCode : 'W1'));
      return whole(Buffer.from(`${tableHeader(other)}\n${fields.join('|')}\n`));
    },
  }),
};

/** Faults that add bad lines to a table; every right line is there as well. */
export const LINE_FAULTS = {
  'bad-lines': onTable({
    about: 'a share of all lines is bad, of each kind in turn; too many fail the run as a whole',
    delivers: 'data and bad lines',
    weight: 2,
    parameters: z.strictObject({
      /** Of all lines; at least one, at most 500. */
      share: z.number().gt(0).lt(1).default(0.3),
      reasons,
    }),
    draw: (random) => ({ share: pick(random, [0.01, 0.04, 0.3]) }),
    play: ({ share, reasons }, scene) => {
      const count = Math.ceil((scene.answer.rows * share) / (1 - share));
      return withBadLines(scene, { count: Math.max(1, count), reasons });
    },
  }),
  'long-lines': onTable({
    about: 'lines of 10 MB',
    delivers: 'data and bad lines',
    weight: 0.5,
    parameters: few.extend({
      bytes: z
        .int()
        .min(70_000)
        .default(10 * MEGABYTE),
    }),
    draw: (random) => ({ count: integer(random, 1, 3) }),
    play: ({ count, bytes }, scene) =>
      withBadLines(scene, { count, reasons: ['too_long'], length: bytes }),
  }),
  nuls: onTable({
    about: 'lines with a NUL',
    delivers: 'data and bad lines',
    weight: 1,
    parameters: few,
    draw: drawFew,
    play: ({ count }, scene) => withBadLines(scene, { count, reasons: ['nul'] }),
  }),
  'invalid-utf8': onTable({
    about: 'lines with bytes that are not UTF-8',
    delivers: 'data and bad lines',
    weight: 1,
    parameters: few,
    draw: drawFew,
    play: ({ count }, scene) => withBadLines(scene, { count, reasons: ['encoding'] }),
  }),
};
