import { readFileSync } from 'node:fs';
import { addresses } from '../datasets/addresses.ts';
import type { Row } from './history.ts';
import { seedOf } from './random.ts';

/** Real addresses of three organisations, laid out as table 3001; the path holds from src and dist. */
const FILE = new URL('../../src/simulator/addresses.psv', import.meta.url);

let parsed: readonly Row[] | undefined;

/** All rows of the excerpt, the higher address before the lower; read once. */
function excerpt(): readonly Row[] {
  if (parsed) return parsed;
  const [header = '', ...lines] = readFileSync(FILE, 'utf8').trimEnd().split('\n');
  const names = header.split('|').map((title) => {
    const column = addresses.columns.find((known) => known.header === title);
    if (!column) throw new Error('the excerpt of addresses has an unknown column');
    return column.name;
  });
  parsed = lines.map((line) => {
    const fields = line.split('|');
    return Object.fromEntries(names.map((name, index) => [name, fields[index] || null]));
  });
  return parsed;
}

/**
 * The real addresses of an organisation, from the province down to its villages, parents first.
 *
 * One that the excerpt does not know gets a district of it, always the same one, under its own code.
 */
export function addressesOf(orgCode: string): readonly Row[] {
  const own = excerpt().filter((row) => row.org_code === orgCode);
  if (own.length > 0) return own;
  const districts = excerpt().filter((row) => row.address_type === 'D');
  const district = districts[seedOf(orgCode) % districts.length];
  return district ? branch(district).map((row) => ({ ...row, org_code: orgCode })) : [];
}

/** An address of the excerpt with all above and below it. */
function branch(middle: Row): Row[] {
  const family = excerpt().filter((row) => row.org_code === middle.org_code);
  const kept = new Set([middle.address_code]);
  // Parents stand before their children: one pass up and one pass down find the whole branch.
  for (const row of [...family].reverse()) {
    if (kept.has(row.address_code ?? null)) kept.add(row.parent_address_code);
  }
  const above = new Set(kept);
  above.delete(middle.address_code);
  for (const row of family) {
    const parent = row.parent_address_code ?? null;
    if (kept.has(parent) && !above.has(parent)) kept.add(row.address_code);
  }
  return family.filter((row) => kept.has(row.address_code ?? null));
}
