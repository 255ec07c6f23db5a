import { randomBytes, scryptSync } from 'node:crypto';
import type { User, UserRole } from '../../src/core/user.ts';

/** As cheap as `WEB_USERS` may be: what a guess costs is no matter of most tests. */
const COST = { cost: 2 ** 12, blockSize: 8, parallelism: 1 } as const;

/** A user of the web pages whose password takes next to no time to check. */
export function testUser(name: string, role: UserRole, password: string): User {
  const salt = randomBytes(16);
  const key = scryptSync(password, salt, 32, { N: COST.cost, r: COST.blockSize });
  const encoded = { salt: salt.toString('base64url'), key: key.toString('base64url') };
  return { name, role, password: { ...COST, ...encoded } };
}
