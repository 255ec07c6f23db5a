import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Names of test files that take longest, the longest first: mostly they wait. */
const LONG: readonly string[] = [
  'nothing-leaks-on-postgres',
  'nothing-leaks-on-redis',
  'database-full',
  'service-on-postgres',
  'database-trouble',
  'torture-on-redis',
  'service-on-redis',
  'process-trouble',
  'torture-on-postgres',
  'queue-board',
  'service',
  'web',
  'cli',
  'bringing',
  'database-trouble-start',
  'embedded-postgres',
  'monitoring',
  'sync-command',
  'bench',
];

/** Where the projects come whose files are not named above. */
const PROJECTS: readonly string[] = ['e2e', 'integration', 'fuzz', 'unit'];

/** Begins with the files that take longest, so that at the end none is waited for alone. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.toSorted((a, b) => rank(a) - rank(b));
  }
}

function rank({ moduleId, project }: TestSpecification): number {
  const name = moduleId.replace(/^.*[\\/]|\.test\.ts$/g, '');
  const place = project.name === 'e2e' ? LONG.indexOf(name) : -1;
  return place >= 0 ? place : LONG.length + PROJECTS.indexOf(project.name);
}
