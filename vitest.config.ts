import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';

// Where a report for machines goes, beside the one for people.
const report = process.env.VITEST_JSON;

function project(name: string, globalSetup: string[]): TestProjectInlineConfiguration {
  return { extends: true, test: { name, include: [`test/${name}/**/*.test.ts`], globalSetup } };
}

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 60_000,
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    projects: [
      project('unit', []),
      project('integration', ['test/support/services.ts']),
      project('e2e', ['test/support/services.ts']),
    ],
  },
});
