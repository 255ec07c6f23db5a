import { randomBytes } from 'node:crypto';
import { type Command, InvalidArgumentError } from 'commander';
import { SETTINGS, type SettingName } from '../config.ts';
import { FatalError } from '../core/errors.ts';
import { isSealed, NONCE_BYTES, seal } from '../core/seal.ts';
import { run, type Surroundings } from './action.ts';
import { readSecret } from './secret-input.ts';

/** Settings that may be given sealed: all secrets but the key that opens them. */
const SEALABLE = (Object.keys(SETTINGS) as SettingName[]).filter(
  (name) => 'secret' in SETTINGS[name] && name !== 'VCC_MASTER_KEY',
);

/** Adds `secret key` and `secret seal`: secrets as ciphertext in the settings. */
export function registerSecret(program: Command): void {
  const secret = program.command('secret').description('keep secrets sealed in the settings');
  secret
    .command('key')
    .description('print a new random master key, for VCC_MASTER_KEY')
    .addHelpText(
      'after',
      '\nKeep it apart from the settings, in a file that only the service may read: VCC_MASTER_KEY_FILE.',
    )
    .action(
      run([], async ({ out }) => {
        out.line(randomBytes(32).toString('hex'));
        return 0;
      }),
    );
  secret
    .command('seal')
    .description('seal a secret with VCC_MASTER_KEY and print what to set in its place')
    .option(
      '--for <name>',
      `the setting it is for: ${SEALABLE.join(', ')}`,
      readName,
      'VCC_BASE_KEY',
    )
    .addHelpText(
      'after',
      [
        '\nThe secret is asked for without echo, or read from a pipe: never from an argument, which others',
        'may see. Sealed for one setting it does not open as another.',
      ].join('\n'),
    )
    .action(run(['VCC_MASTER_KEY'], sealSecret));
}

function readName(name: string): SettingName {
  const found = SEALABLE.find((one) => one === name);
  if (found) return found;
  throw new InvalidArgumentError(`expected ${SEALABLE.join(', ')}.`);
}

async function sealSecret(
  { settings: { VCC_MASTER_KEY: key }, out }: Surroundings<'VCC_MASTER_KEY'>,
  { for: name }: { readonly for: SettingName },
): Promise<0> {
  if (key === null) {
    throw new FatalError(
      'CONFIG',
      'VCC_MASTER_KEY is missing: it seals the secret; vcc-sync secret key makes one',
    );
  }
  const secret = await readSecret(`${name} to seal`);
  const fault = faultOf(name, secret);
  if (fault) throw new FatalError('CONFIG', `the secret for ${name} ${fault}`);
  out.line(seal(secret, key, name, randomBytes(NONCE_BYTES)));
  return 0;
}

/** Why a secret is not worth sealing, without showing it; found out now rather than at the next start. */
function faultOf(name: SettingName, secret: string): string | null {
  if (secret === '') return 'is empty';
  if (isSealed(secret)) return 'is sealed already';
  if (/\p{Cc}/u.test(secret)) return 'is not one line of plain text';
  const { success, error } = SETTINGS[name].schema.safeParse(secret);
  return success ? null : `is wrong: ${error.issues.map(({ message }) => message).join('; ')}`;
}
