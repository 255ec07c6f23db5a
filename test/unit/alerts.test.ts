import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const FOLDER = fileURLToPath(new URL('../../deploy/prometheus/', import.meta.url));

/** Debian's package `prometheus` has it; whether alerts ask for what is there, test/e2e shows without. */
const hasPromtool = spawnSync('promtool', ['--version']).error === undefined;

it
  .skipIf(!hasPromtool)
  .each([
    [['check', 'config', 'prometheus.yml']],
    [['check', 'rules', 'alerts.yml']],
    [['test', 'rules', 'alerts.test.yml']],
  ])('promtool %s, where it is installed', (args) => {
  expect(execFileSync('promtool', args, { cwd: FOLDER, encoding: 'utf8' })).toContain('SUCCESS');
});
