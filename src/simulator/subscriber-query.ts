import { type Answer, errorAnswer, jsonAnswer } from './answer.ts';
import type { Call } from './call.ts';
import type { Row } from './history.ts';
import { seedOf } from './random.ts';
import { refusal } from './result-codes.ts';
import type { World } from './world.ts';

/** The most subscribers that one page of 3007 may ask for (P8). */
const LARGEST_PAGE = 100;

/** 3005: one subscriber by its code, masked as the document shows it; what is null is left out (P8). */
export function subscriberAnswer(
  world: World,
  { subsCode, orgCode }: Call['parameters'],
  now: number,
): Answer {
  if (!subsCode || !orgCode) return errorAnswer(refusal('BAD_PARAMETER', 'subsCode is missing'));
  const row = world.row('subscribers', orgCode, subsCode, now);
  if (!row) return errorAnswer(refusal('UNKNOWN_SUBSCRIBER', 'there is no such subscriber'));
  return jsonAnswer({
    ...told(row),
    ...(row.mobile && { phone: masked(row.mobile, 3, '********') }),
  });
}

/** 3007: a page of the subscribers that fit, by code, masked too; the mobile has another name (P8). */
export function searchAnswer(world: World, parameters: Call['parameters'], now: number): Answer {
  const { orgCode = '', pageIndex = '', pageSize = '' } = parameters;
  const [index, size] = [pageIndex, pageSize].map((text) => (/^\d{1,9}$/.test(text) ? +text : 0));
  if (!index || !size || size > LARGEST_PAGE) {
    const message = `pageIndex or pageSize is missing, or not from 1, at most ${LARGEST_PAGE}`;
    return errorAnswer(refusal('BAD_PARAMETER', message));
  }
  const found = [...world.rows('subscribers', orgCode, now).values()]
    .filter((row) => fits(row, parameters, fullAddress(world, row, now)))
    .sort((a, b) => ((a.subscriber_code ?? '') < (b.subscriber_code ?? '') ? -1 : 1));
  const datas = found.slice((index - 1) * size, index * size).map((row) => ({
    ...told(row),
    ...(row.mobile && { mobile: `${row.mobile.slice(0, 3)}****${row.mobile.slice(-4)}` }),
    fullAddr: masked(fullAddress(world, row, now), 4, '******'),
  }));
  return jsonAnswer({ pageIndex: index, pageSize: size, total: found.length, datas });
}

/** 3006: up to three subscribers that a member has bound, always the same for the same member. */
export function boundAnswer(
  world: World,
  { userCode, userType }: Call['parameters'],
  now: number,
): Answer {
  if (!userCode || userType !== 'MEMBER') {
    return errorAnswer(refusal('BAD_PARAMETER', 'userCode is missing or userType is not MEMBER'));
  }
  const all = world.orgs.flatMap(({ code }) => [...world.rows('subscribers', code, now).values()]);
  const seed = seedOf(userCode);
  const bound = Array.from({ length: Math.min(seed % 4, all.length) }, (_, index) => {
    const { subscriber_code: subsCode, org_code: orgCode } = all[(seed + index) % all.length]!;
    return { subsCode, nickName: '自家', orgCode, createTime: '2017-04-25 18:32:18' };
  });
  return jsonAnswer(bound);
}

/** What 3005 and 3007 tell of a row. */
function told(row: Row): Record<string, string> {
  const fields = {
    subsCode: row.subscriber_code,
    name: masked(row.name, 1, '**'),
    addrCode: row.address_code,
    addrDetail: masked(row.address_detail, 3, '******'),
    subsType: row.subscriber_type,
    state: row.state,
    tel: masked(row.telephone, 4, '****'),
    orgCode: row.org_code,
  };
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) => (value ? [[name, value]] : [])),
  );
}

/** Name and full address match loosely, all else as it is given; what is not given fits all. */
function fits(row: Row, wanted: Call['parameters'], address: string): boolean {
  const holds = (text: string | null | undefined, part: string | undefined) =>
    !part || (text ?? '').includes(part);
  const is = (text: string | null | undefined, value: string | undefined) =>
    !value || text === value;
  return (
    is(row.subscriber_code, wanted.subsCode) &&
    is(row.address_code, wanted.addrCode) &&
    is(row.telephone, wanted.tel) &&
    is(row.mobile, wanted.mobile) &&
    holds(row.name, wanted.name) &&
    holds(address, wanted.fullAddr)
  );
}

/** The address of a subscriber with all that stands above it. */
function fullAddress(world: World, row: Row, now: number): string {
  const address = world.row('addresses', row.org_code ?? '', row.address_code ?? '', now);
  return `${address?.full_address ?? ''}${row.address_detail ?? ''}`;
}

/** The first characters of a text, the rest made unreadable; null stays null. */
function masked(text: string | null | undefined, shown: number, stars: string): string | null {
  return text ? `${[...text].slice(0, shown).join('')}${stars}` : null;
}
