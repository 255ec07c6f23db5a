import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { CommandFailure } from './failure.ts';

/** Where a secret comes from: a terminal, or a pipe or file. */
export type SecretInput = NodeJS.ReadableStream & { readonly isTTY?: boolean };

/**
 * Reads one secret: asked for without echo on a terminal, else all that is piped in, without the
 * white space around it.
 *
 * Never from an argument: those stand in the process list and in the shell's history.
 *
 * @param ask where the question is written; stdout is for data
 * @throws CommandFailure if the question is not answered
 */
export async function readSecret(
  question: string,
  input: SecretInput = process.stdin,
  ask: NodeJS.WritableStream = process.stderr,
): Promise<string> {
  const given = input.isTTY ? await askHidden(question, input, ask) : await text(input);
  return given.trim();
}

function askHidden(
  question: string,
  input: SecretInput,
  ask: NodeJS.WritableStream,
): Promise<string> {
  // readline puts the terminal into raw mode and echoes by itself, which goes nowhere here.
  const nowhere = new Writable({ write: (_piece, _encoding, done) => done() });
  const lines = createInterface({ input, output: nowhere, terminal: true, historySize: 0 });
  ask.write(`${question} (not shown): `);
  return new Promise((resolve, reject) => {
    lines.once('line', (line) => {
      resolve(line);
      lines.close();
    });
    // Ctrl-C and Ctrl-D; after a line it changes nothing any more.
    lines.once('close', () => {
      ask.write('\n');
      reject(new CommandFailure('nothing was entered'));
    });
  });
}
