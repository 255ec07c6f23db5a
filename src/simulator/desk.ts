import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { floorSecond, SECOND } from '../core/china-time.ts';
import type { Clock } from '../core/clock.ts';
import { type Answer, errorAnswer, sendAnswer } from './answer.ts';
import { type Call, openRecord, type RequestRecord, realTime } from './call.ts';
import { createDownloads, type Downloads } from './downloads.ts';
import type { Act, Conditions } from './fault.ts';
import { createFaultPlan, type FaultPlan, type SwitchOff } from './fault-plan.ts';
import { createGrants, type Grants } from './grants.ts';
import { createMediaShelf } from './media-shelf.ts';
import { addNewest } from './newest.ts';
import { answerCall, type PlatformSettings } from './platform.ts';
import { refusal } from './result-codes.ts';
import { createSeqCheck } from './seq-check.ts';
import { createSessions } from './session.ts';
import type { SimulatorOptions } from './simulator-options.ts';
import { sendWire } from './wire.ts';
import type { World } from './world.ts';

/** All that answering needs, and all that it leaves behind. */
export interface Desk {
  readonly options: SimulatorOptions;
  readonly world: World;
  /** The true clock. */
  readonly clock: Clock;
  readonly settings: PlatformSettings;
  readonly grants: Grants;
  readonly downloads: Downloads;
  readonly plan: FaultPlan;
  readonly requests: RequestRecord[];
  expireToken(): void;
  /** Lets conditions hold until they are set again, which is to be done before each call is answered. */
  setConditions(conditions: Conditions): void;
}

/** The requests that the simulator answers, as they come. */
export interface Arrival {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Aborts when the simulator stops. */
  readonly stopping: AbortSignal;
}

/** Opens a desk at which nothing was asked yet. */
export function openDesk(options: SimulatorOptions, goDeaf: () => SwitchOff): Desk {
  const { world, clock } = options;
  const usual = {
    tokenLifetime: options.tokenLifetime ?? 7200,
    newTokenKillsOld: options.newTokenKillsOld ?? true,
    expireTime: options.expireTime ?? ('seconds' as const),
  };
  let offset = 0;
  const shown: Clock = () => clock() + offset;
  const rules = { ...usual, clock: shown };
  const sessions = createSessions(rules);
  const grants = createGrants(world.orgs.map(({ code }) => code));
  const settings: PlatformSettings = {
    world,
    clock: shown,
    trueClock: clock,
    appId: options.appId,
    baseKey: options.baseKey,
    reading: options.reading,
    bounds: options.bounds ?? 'inclusive',
    ignores: options.ignores ?? 'none',
    get tokenLifetime() {
      return rules.tokenLifetime;
    },
    get expireTime() {
      return rules.expireTime;
    },
    requireSign: options.requireSign ?? false,
    signSecret: options.signSecret ?? 'token',
    seqCode: options.seqCode ?? null,
    sessions,
    grants,
    checkSeq: createSeqCheck(shown),
    shelf: createMediaShelf(shown),
    answerSign: options.answerSign ?? 'none',
  };
  return {
    options,
    world,
    clock,
    settings,
    grants,
    downloads: createDownloads(),
    plan: createFaultPlan({ clock, goDeaf, keep: options.keep }),
    requests: [],
    expireToken: () => sessions.expire(),
    setConditions({ clockOffset = 0, ...rest }) {
      offset = clockOffset;
      Object.assign(rules, usual, rest);
    },
  };
}

/** Dates an answer by the platform's clock, as the options have it. */
export function setDate({ options, clock }: Desk, response: ServerResponse, offset = 0): void {
  response.sendDate = false;
  if (options.dateHeader === 'none') return;
  const date = floorSecond(clock() + (options.dateSkew ?? 0) + offset);
  response.setHeader('date', new Date(date).toUTCString());
}

/** Answers a call to the platform, and keeps the record of it. */
export async function answerRecorded(desk: Desk, call: Call, arrival: Arrival): Promise<void> {
  const { response, stopping } = arrival;
  const { options } = desk;
  const record = openRecord(call, desk.clock());
  addNewest(desk.requests, record, options.keep);
  const turn = record.dataset ? desk.downloads.enter(`${record.dataset} ${record.orgCode}`) : null;
  function end(whole: boolean): void {
    if (record.endedAt !== null) return;
    record.endedAt = realTime();
    turn?.leave();
    if (!whole && record.result !== 'interfered') record.result = 'aborted';
    options.log?.(record);
  }
  // Over once the last byte is handed on, so that the client's next request never finds this one.
  response.once('finish', () => end(true)).once('close', () => end(false));
  const casualty = desk.plan.receive(record);
  setDate(desk, response, casualty.conditions.clockOffset);
  if (options.latency) await delay(options.latency, undefined, { signal: stopping });
  if (record.endedAt !== null) return;
  if (await takeOver(desk, record, casualty.act, response)) return;
  const answer = prepare(desk, call, turn?.ahead ?? 0, casualty);
  if (await takeOver(desk, record, casualty.alter(answer), response)) return;
  const result = record.result;
  record.result = 'interfered';
  if (await options.interfere?.(arrival.request, response, { record, answer })) return;
  record.result = result;
  if (response.destroyed) return;
  record.result = answer.result;
  record.rows = answer.rows;
  await sendAnswer(answer, arrival.request, response);
}

/** Lets a fault take a call over; true if it did. */
async function takeOver(
  desk: Desk,
  record: RequestRecord,
  { connection, wire, tokensDieMidway }: Act,
  response: ServerResponse,
): Promise<boolean> {
  if (connection === undefined && wire === undefined) return false;
  record.result = 'interfered';
  if (wire) await sendWire(wire, response, () => tokensDieMidway && desk.expireToken());
  if (connection === 'destroyed') response.destroy();
  if (typeof connection === 'object') {
    response.destroy();
    desk.plan.deafen(connection.deafFor);
  }
  return true;
}

/** What a call is answered; a fault of the simulator's own becomes an error like any other. */
function prepare(
  desk: Desk,
  call: Call,
  ahead: number,
  { act, conditions }: { readonly act: Act; readonly conditions: Conditions },
): Answer {
  // Everything from here to the answer happens at once: no other call meets these conditions.
  desk.setConditions(conditions);
  try {
    catchUp(desk);
    if (act.tokens === 'die') desk.expireToken();
    if (act.tokens === 'stolen') {
      desk.expireToken();
      desk.settings.sessions.issue();
    }
    return answerCall(desk.settings, call, ahead);
  } catch (error) {
    return errorAnswer(refusal('INTERNAL', `the simulator failed: ${String(error)}`));
  }
}

/** Carries the world on to the clock, the current second included, as a download up to now may hold it. */
export function catchUp({ options, world, clock }: Desk): void {
  if (options.evolve) world.evolve(floorSecond(clock()) + SECOND);
}
