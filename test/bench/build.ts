import { execFile } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Compiles the programs, and what they use of the service, as it is compiled for production: a loader
 * of TypeScript in the process would be measured along, in memory above all.
 *
 * @returns the folder of the compiled programs
 * @throws Error with what the compiler printed
 */
export async function buildPrograms(folder: string): Promise<string> {
  const out = join(folder, 'build');
  await mkdir(out);
  await writeFile(join(out, 'package.json'), '{"type":"module"}\n');
  await symlink(join(ROOT, 'node_modules'), join(out, 'node_modules'), 'junction');
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const project = join(ROOT, 'test', 'bench', 'tsconfig.json');
  await promisify(execFile)(process.execPath, [compiler, '-p', project, '--outDir', out]).catch(
    (error: Error & { stdout?: string }) => {
      throw new Error(`the programs can not be compiled\n${error.stdout}`, { cause: error });
    },
  );
  return join(out, 'test', 'bench', 'programs');
}
