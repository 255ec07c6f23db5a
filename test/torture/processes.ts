import { setTimeout as sleep } from 'node:timers/promises';
import { SECOND } from '../../src/core/china-time.ts';
import {
  hasStarted,
  isStarted,
  type ServiceProcess,
  spawnServiceProcess,
} from '../support/service-process.ts';
import type { Journal } from './journal.ts';

/** Longest time from SIGTERM to the end of a process; it gives runs 15 seconds, its connections a few more. */
const LONGEST_END = 60 * SECOND;

/** What a supervisor waits before it starts a process that ended by itself, in milliseconds. */
const RESTART_DELAY = 1 * SECOND;

/** One process of the service, started again whenever it is down, as by a supervisor. */
export class Supervised {
  readonly #env: Record<string, string>;
  readonly #journal: Journal;
  readonly #past: ServiceProcess[] = [];
  #current: ServiceProcess | null = null;
  #isStopped = false;
  /** Our own deed that keeps it down, so that nobody else starts it. */
  #isHeldDown = false;
  #isClosing = false;

  constructor(env: Record<string, string>, journal: Journal) {
    this.#env = env;
    this.#journal = journal;
  }

  /** Every process that there was, this one included. */
  get all(): readonly ServiceProcess[] {
    return this.#past;
  }

  /** The process that runs; none while it is down. */
  get pids(): number[] {
    return this.#current ? [this.#current.pid] : [];
  }

  /** Starts it, if it is down. */
  start(): void {
    this.#isHeldDown = false;
    if (this.#current || this.#isClosing) return;
    const one = spawnServiceProcess(this.#env);
    this.#current = one;
    this.#isStopped = false;
    this.#past.push(one);
    void one.exited.then((code) => this.#ended(one, code));
  }

  /** Ends it by SIGKILL and leaves it down for so many milliseconds. */
  async kill(downFor: number, signal: AbortSignal): Promise<void> {
    const one = this.#take();
    if (!one) return;
    this.#journal.note('SIGKILL', [one.pid])();
    one.kill('SIGKILL');
    await one.exited;
    await pause(downFor, signal);
    this.start();
  }

  /** Ends it by SIGTERM, waits for that, and leaves it down for so many milliseconds. */
  async terminate(downFor: number, signal: AbortSignal): Promise<void> {
    // One that does not run can not end in order.
    const one = this.#isStopped ? null : this.#take();
    if (!one) return;
    const over = this.#journal.note('SIGTERM', [one.pid]);
    await this.#end(one);
    over();
    await pause(downFor, signal);
    this.start();
  }

  /** Stops it by SIGSTOP for so many milliseconds. */
  async stop(lasts: number, signal: AbortSignal): Promise<void> {
    const one = this.#current;
    if (!one || this.#isStopped) return;
    const over = this.#journal.note('SIGSTOP', [one.pid]);
    this.#isStopped = true;
    one.kill('SIGSTOP');
    await Promise.race([pause(lasts, signal), one.exited]);
    over();
    if (one !== this.#current) return;
    one.kill('SIGCONT');
    this.#isStopped = false;
  }

  /** Ends it in order, for good; answers its exit code, or null if it was down or had to be killed. */
  async close(): Promise<number | null> {
    this.#isClosing = true;
    const one = this.#take();
    if (!one) return null;
    // Before Node has loaded the program, a signal ends it as it ends any: in no order of ours.
    await hasStarted(one).catch(() => {});
    return this.#end(one);
  }

  /** Ends it at once, for good. */
  destroy(): void {
    this.#isClosing = true;
    this.#take()?.kill('SIGKILL');
  }

  #take(): ServiceProcess | null {
    const one = this.#current;
    if (one) this.#isHeldDown = true;
    this.#current = null;
    return one;
  }

  async #end(one: ServiceProcess): Promise<number | null> {
    const late = new AbortController();
    const limit = pause(LONGEST_END, late.signal).then(() => {
      if (late.signal.aborted) return;
      this.#journal.find('a process did not end after SIGTERM', { pid: one.pid });
      one.kill('SIGKILL');
    });
    const { code } = await one.stop();
    late.abort();
    await limit;
    return code;
  }

  /** A process that ended by itself is started again; one that had once started should not have. */
  async #ended(one: ServiceProcess, code: number | null): Promise<void> {
    if (this.#current !== one) return;
    this.#current = null;
    this.#journal.note('ended by itself', [one.pid])();
    if (one.lines.some(isStarted)) {
      const last = one.stderr().trimEnd().split('\n').slice(-5);
      this.#journal.find('a process ended by itself', { pid: one.pid, code, last });
    }
    await sleep(RESTART_DELAY);
    if (!this.#isHeldDown) this.start();
  }
}

/** Waits so many milliseconds, or until the signal aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
