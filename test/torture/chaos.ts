import { once, setMaxListeners } from 'node:events';
import { floorSecond, MINUTE } from '../../src/core/china-time.ts';
import { FAULT_KINDS, FAULT_NAMES } from '../../src/simulator/faults.ts';
import { integer, seededRandom, seedOf } from '../../src/simulator/random.ts';
import { openRequestStore } from '../../src/store/requests.ts';
import { requestResync } from '../../src/sync/resync.ts';
import { isStarted, spawnCommand } from '../support/service-process.ts';
import type { Journal } from './journal.ts';
import { pause } from './processes.ts';
import type { Deed, Event } from './schedule.ts';
import type { Service, Stage } from './stage.ts';

/** How often the source changes, in milliseconds, and how many changes there are at most at once. */
const CHANGE_EVERY = 250;
const MOST_CHANGES = 8;

/** The share of all calls to the platform that go wrong by themselves. */
const FAULT_RATE = 0.15;

/** Milliseconds between tries to record a request while Postgres is away. */
const RECORD_AGAIN = 500;

const LOOK_EVERY = 200;

/** What a slow proxy does: milliseconds for each piece, bytes a second. */
const LATENCY = 40;
const SLOW_BYTES = 200_000;

/** How the chaos is played. */
export interface ChaosOptions {
  readonly seed: number;
  readonly schedule: readonly Event[];
  /** Milliseconds. */
  readonly lasts: number;
}

/**
 * Lets the source change and everything go wrong by schedule until the time is over, then ends every
 * fault and starts every process: from then on nothing disturbs.
 */
export async function playChaos(
  stage: Stage,
  journal: Journal,
  { seed, schedule, lasts }: ChaosOptions,
  signal: AbortSignal,
): Promise<void> {
  const { services, simulator } = stage;
  const calm = new AbortController();
  const over = AbortSignal.any([calm.signal, signal]);
  // Every deed waits on it, however many there are.
  setMaxListeners(0, over, signal);
  simulator.faults.random({ seed, rate: FAULT_RATE, kinds: faultWeights() });
  for (const { process } of services) process.start();
  // A slow machine shall not use the time up before there is anybody to torture.
  await untilStarted(services, over);
  const began = Date.now();
  const changing = change(stage, seed, over);
  const perform = performer(stage, journal, over);
  const deeds: Promise<void>[] = [];
  for (const event of schedule) {
    await pause(began + event.at - Date.now(), over);
    if (over.aborted) break;
    deeds.push(perform(event));
  }
  await pause(began + lasts - Date.now(), over);
  calm.abort();
  await Promise.all([changing, ...deeds]);
  await simulator.faults.clear();
  await Promise.all(services.flatMap((one) => [one.postgres.restore(), one.redis?.restore()]));
  for (const { process } of services) process.start();
}

/** Waits until every process has started, but no longer than a minute. */
async function untilStarted(services: readonly Service[], over: AbortSignal): Promise<void> {
  const limit = AbortSignal.any([over, AbortSignal.timeout(MINUTE)]);
  const isDown = ({ process }: Service) => !process.all.some(({ lines }) => lines.some(isStarted));
  while (!limit.aborted && services.some(isDown)) await pause(LOOK_EVERY, limit);
}

/**
 * How often each fault befalls a single call: as usual, but that nobody listens is seldom. It hits all
 * feeds at once, so that the queue waits as a whole; the schedule has it, too.
 *
 * 'missing-optional-column' has no usual weight and stays out: what it leaves out is not stored by
 * design, so the copy would differ from the source until somebody had the window read again.
 */
function faultWeights(): Record<string, number> {
  const usual = FAULT_NAMES.map((kind) => [kind, FAULT_KINDS[kind].weight]);
  return { ...Object.fromEntries(usual), 'listener-closed': 0.1 };
}

async function change({ world }: Stage, seed: number, over: AbortSignal): Promise<void> {
  const random = seededRandom(seedOf(`${seed} changes`));
  while (!over.aborted) {
    world.change(integer(random, 1, MOST_CHANGES + 1), Date.now());
    await pause(CHANGE_EVERY, over);
  }
}

type DeedOf<K extends Deed['kind']> = Extract<Deed, { readonly kind: K }>;

/** Does one deed after another; each is taken back when its time is over, or all of it. */
function performer(
  stage: Stage,
  journal: Journal,
  over: AbortSignal,
): (deed: Deed) => Promise<void> {
  const { services, simulator } = stage;
  const pidsOf = (numbers: readonly number[]) =>
    numbers.flatMap((number) => services[number]!.process.pids);
  const everyone = () => pidsOf(services.map((_, index) => index));
  // A server is not restarted while it restarts.
  const turns = { postgres: Promise.resolve(), redis: Promise.resolve() };

  function restartPostgres(how: 'fast' | 'immediate'): Promise<void> {
    turns.postgres = turns.postgres.then(async () => {
      if (over.aborted) return;
      const end = journal.note(`Postgres restarted (${how})`, everyone());
      await stage.postgres.restart(how);
      end(everyone());
    });
    return turns.postgres;
  }

  function loseRedis(): Promise<void> {
    turns.redis = turns.redis.then(async () => {
      if (over.aborted) return;
      journal.note('Redis lost with all its data')();
      await stage.redis?.lose();
    });
    return turns.redis;
  }

  async function disturb({ before, how, lasts, ...deed }: DeedOf<'proxy'>): Promise<void> {
    const chosen = deed.processes.map((number) => services[number]!);
    const proxies = chosen.flatMap(
      (one) => (before === 'Postgres' ? one.postgres : one.redis) ?? [],
    );
    // What is refused or slow loses nothing that it has.
    const isLoss = before === 'Postgres' && (how === 'cut' || how === 'black hole');
    const hit = () => (isLoss ? pidsOf(deed.processes) : []);
    const end = journal.note(`proxy before ${before}: ${how}`, hit());
    for (const one of proxies) {
      if (how === 'cut') one.cut();
      if (how === 'black hole') one.blackHole(true);
      if (how === 'slow') one.slow(LATENCY, SLOW_BYTES);
      if (how === 'refuse') await one.refuse(true);
    }
    if (how !== 'cut') await pause(lasts, over);
    for (const one of proxies) {
      if (how === 'black hole') one.blackHole(false);
      if (how === 'slow') one.slow(0);
      if (how === 'refuse') await one.refuse(false);
    }
    end(hit());
  }

  async function disturbPlatform({ match, fault, lasts }: DeedOf<'platform'>): Promise<void> {
    const end = journal.note(`platform: ${fault.kind} for a while`);
    const off = simulator.faults.during(match, fault);
    await pause(lasts, over);
    await off();
    end();
  }

  return async (deed) => {
    switch (deed.kind) {
      case 'kill':
      case 'terminate':
        return services[deed.process]!.process[deed.kind](deed.downFor, over);
      case 'stop':
        return services[deed.process]!.process.stop(deed.lasts, over);
      case 'restart Postgres':
        return restartPostgres(deed.how);
      case 'lose Redis':
        return loseRedis();
      case 'proxy':
        return disturb(deed);
      case 'platform':
        return disturbPlatform(deed);
      case 'token death':
        journal.note('every token dies')();
        return simulator.expireToken();
      case 'resync':
        return resync(stage, journal, deed, over);
    }
  };
}

/** Has a window loaded again; while Postgres is away, it is tried again. */
async function resync(
  stage: Stage,
  journal: Journal,
  { orgCode, dataset, age, length, by }: DeedOf<'resync'>,
  over: AbortSignal,
): Promise<void> {
  const to = floorSecond(Date.now() - age);
  const during = { from: floorSecond(to - length), to };
  for (;;) {
    try {
      if (by === 'command') {
        await commandResync(stage, ['--org', orgCode, '--dataset', dataset, ...times(during)]);
      } else {
        const requests = openRequestStore(stage.db);
        const wish = {
          orgCodes: [orgCode],
          datasets: [dataset],
          during,
          force: false,
          maxRejects: null,
        };
        const whose = { reason: 'torture', requestedBy: 'torture' };
        await requestResync({ requests, clock: Date.now }, { ...wish, ...whose });
      }
      journal.note(`resync requested by ${by}`)();
      return;
    } catch {
      if (over.aborted) return;
      await pause(RECORD_AGAIN, over);
    }
  }
}

function times({ from, to }: { readonly from: number; readonly to: number }): string[] {
  return ['--from', new Date(from).toISOString(), '--to', new Date(to).toISOString()];
}

/** @throws Error if the command fails */
async function commandResync({ postgres }: Stage, args: readonly string[]): Promise<void> {
  const child = spawnCommand(['resync', ...args], { DATABASE_URL: postgres.url });
  child.stdout?.resume();
  child.stderr?.resume();
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error('the request was not recorded');
}
