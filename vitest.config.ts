import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

// Where a report for machines goes, beside the one for people.
const report = process.env.VITEST_JSON;

function project(name: string, globalSetup: string[]): TestProjectInlineConfiguration {
  return { extends: true, test: { name, include: [`test/${name}/**/*.test.ts`], globalSetup } };
}

export default defineConfig({
  test: {
    pool: 'forks',
    // A process takes one file after another: reading the modules anew for each costs more than most files.
    isolate: false,
    sequence: { sequencer: LongestFirst },
    // More than the two cores: much of what the suites do is waiting.
    maxWorkers: 3,
    // Patience costs nothing while all goes well; a machine may have much else to do.
    testTimeout: 150_000,
    hookTimeout: 150_000,
    teardownTimeout: 60_000,
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    projects: [
      project('unit', []),
      project('fuzz', []),
      project('integration', ['test/support/services.ts']),
      project('e2e', ['test/support/services.ts', 'test/support/program.ts']),
    ],
  },
});
