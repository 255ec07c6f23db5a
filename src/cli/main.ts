#!/usr/bin/env node
import { reportFailure, reportUncaught } from './failure.ts';
import { buildProgram, settingsFirst } from './program.ts';

/** A reader that has seen enough (`vcc-sync runs | head`) is no failure. */
function endQuietlyWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}

reportUncaught();
endQuietlyWithReader();
try {
  const program = await buildProgram(process.argv[2]);
  await program.parseAsync(settingsFirst(process.argv.slice(2)), { from: 'user' });
} catch (error) {
  process.exitCode = reportFailure(error);
}
