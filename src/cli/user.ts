import { type Command, InvalidArgumentError, Option } from 'commander';
import { formatUser, USER_NAME, USER_ROLES, type UserRole } from '../core/user.ts';
import { hashPassword } from '../web/password.ts';
import { CommandFailure } from './failure.ts';
import { processOutput } from './output.ts';
import { readSecret } from './secret-input.ts';

/** Shorter passwords are not taken; in characters. */
const SHORTEST = 8;

/** Adds `user hash`: the entry for `WEB_USERS` that lets somebody log in. */
export function registerUser(program: Command): void {
  const user = program.command('user').description('users of the web pages');
  user
    .command('hash')
    .description('print the entry for WEB_USERS that lets somebody log in')
    .argument('<name>', 'name to log in with', readName)
    .addOption(
      new Option('--role <role>', 'what they may do').choices(USER_ROLES).makeOptionMandatory(),
    )
    .option('--password <password>', 'their password; asked for when not given, which is safer')
    .action(async (name: string, options: { role: UserRole; password?: string }) => {
      const password = options.password ?? (await readSecret(`Password of ${name}`));
      if (password.length < SHORTEST) {
        throw new CommandFailure(`the password is too short: it must have ${SHORTEST} characters`);
      }
      const { role } = options;
      processOutput.line(formatUser({ name, role, password: await hashPassword(password) }));
    });
}

function readName(text: string): string {
  if (USER_NAME.test(text)) return text;
  throw new InvalidArgumentError('expected up to 64 letters, digits and any of . _ @ -');
}
