import { type Answer, errorAnswer, jsonAnswer } from './answer.ts';
import type { Call } from './call.ts';
import { refusal } from './result-codes.ts';
import type { World } from './world.ts';

/** 3005: one subscriber by its code, masked as the document shows it; what is null is left out (P8). */
export function subscriberAnswer(
  world: World,
  { subsCode, orgCode }: Call['parameters'],
  now: number,
): Answer {
  if (!subsCode || !orgCode) return errorAnswer(refusal('BAD_PARAMETER', 'subsCode is missing'));
  const row = world.row('subscribers', orgCode, subsCode, now);
  if (!row) return errorAnswer(refusal('UNKNOWN_SUBSCRIBER', 'there is no such subscriber'));
  const fields = {
    subsCode,
    name: masked(row.name, 1, '**'),
    addrCode: row.address_code,
    addrDetail: masked(row.address_detail, 3, '******'),
    subsType: row.subscriber_type,
    state: row.state,
    tel: masked(row.telephone, 4, '****'),
    phone: masked(row.mobile, 3, '********'),
    orgCode,
  };
  return jsonAnswer(Object.fromEntries(Object.entries(fields).filter(([, value]) => value)));
}

/** The first characters of a text, the rest made unreadable; null stays null. */
function masked(text: string | null | undefined, shown: number, stars: string): string | null {
  return text ? `${[...text].slice(0, shown).join('')}${stars}` : null;
}
