/** A worker of BullMQ, as far as it can be told to take no job for a while. */
interface Pausable {
  pause(doNotWaitActive: true): Promise<void>;
  resume(): Promise<void>;
}

/** Lets a worker leave jobs to other processes. */
export interface StepBack {
  /**
   * Takes no job for a while; those in hand go on. To be called before a job ends: else the worker is
   * given the next one in the same breath, ahead of everybody who waits.
   */
  begin(): void;
  /** Ends it for good, so that the worker can be closed. */
  close(): void;
}

/**
 * Makes a worker step back for `pause` milliseconds at a time: one that can do nothing with its jobs is
 * done with them sooner than others, and would have them all.
 */
export function openStepBack(worker: Pausable, pause: number): StepBack {
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  const resume = () => {
    timer = undefined;
    void worker.resume().catch(() => {});
  };
  return {
    begin() {
      if (isClosed || timer !== undefined) return;
      timer = setTimeout(resume, pause);
      void worker.pause(true).catch(() => {});
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}
