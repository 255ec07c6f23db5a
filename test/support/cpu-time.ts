/**
 * Processor time that work takes in this process, in milliseconds. For tests of what something costs:
 * time by the clock is also that of whatever else the machine has to do.
 */
export async function cpuTime(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
