import { runProgram, startProgram } from '../program.ts';
import type { OursResult, OursTask } from '../programs/ours.ts';
import type { Contestant, Task } from './contestant.ts';

/** The service's own path, with everything that it checks and records, in one process. */
export const ours: Contestant = {
  name: 'vcc-sync',
  owner: 'ours',
  lack: async () => null,
  async load(task) {
    const work = oursTask(task, task.orgCodes);
    const done = await runProgram<OursTask, OursResult>(task.stage, 'ours', work);
    expectReceipt(done, task.rows * task.orgCodes.length);
    return done;
  },
};

/** The same, with a process for each organisation. */
export const oursApart: Contestant = {
  ...ours,
  name: 'vcc-sync, a process each',
  async load(task) {
    const programs = await Promise.all(
      task.orgCodes.map(() => startProgram<OursTask, OursResult>(task.stage, 'ours')),
    );
    try {
      const started = performance.now();
      const done = await Promise.all(
        programs.map((program, index) => program.run(oursTask(task, [task.orgCodes[index]!]))),
      );
      const seconds = (performance.now() - started) / 1000;
      for (const one of done) expectReceipt(one, task.rows);
      return { seconds };
    } finally {
      await Promise.all(programs.map((program) => program.stop()));
    }
  },
};

function oursTask({ databaseUrl, baseUrl }: Task, orgCodes: readonly string[]): OursTask {
  return {
    databaseUrl,
    baseUrl,
    orgCodes,
    settings: {},
    clockBehind: 0,
    freshStaging: false,
  };
}

/** @throws Error unless every row was accepted */
export function expectReceipt({ receipt }: OursResult, rows: number): void {
  if (receipt.lines === rows && receipt.accepted === rows) return;
  throw new Error(`vcc-sync: ${receipt.accepted} of ${receipt.lines} lines accepted, not ${rows}`);
}
