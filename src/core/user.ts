/** What a user of the web pages may do: look, or also change things. */
export const USER_ROLES = ['viewer', 'operator'] as const;

/** What one user may do. */
export type UserRole = (typeof USER_ROLES)[number];

/** A password as scrypt has hashed it. */
export interface PasswordHash {
  /** Cost (a power of two), block size and parallelism. */
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelism: number;
  /** Base64url. */
  readonly salt: string;
  /** Base64url. */
  readonly key: string;
}

/** A user of the web pages. */
export interface User {
  readonly name: string;
  readonly role: UserRole;
  readonly password: PasswordHash;
}

/** A name that can stand in `WEB_USERS` and in the records of who did what. */
export const USER_NAME = /^[A-Za-z0-9_.@-]{1,64}$/;

/**
 * Writes a user as `WEB_USERS` has it.
 *
 * @example "alice:operator:scrypt:32768:8:1:c2FsdA:a2V5"
 */
export function formatUser({ name, role, password }: User): string {
  const { cost, blockSize, parallelism, salt, key } = password;
  return [name, role, 'scrypt', cost, blockSize, parallelism, salt, key].join(':');
}

/** Reads a user as `formatUser` writes one; null if it is none. */
export function parseUser(text: string): User | null {
  const [name = '', role, kind, cost, blockSize, parallelism, salt = '', key = '', ...rest] =
    text.split(':');
  const numbers = [cost, blockSize, parallelism].map(Number);
  const isWhole =
    USER_NAME.test(name) &&
    (USER_ROLES as readonly string[]).includes(role ?? '') &&
    kind === 'scrypt' &&
    rest.length === 0 &&
    [salt, key].every((part) => /^[A-Za-z0-9_-]{16,}$/.test(part)) &&
    // Costs beyond this would let a slip in the settings stop everything
    isCost(numbers[0]!) &&
    isWithin(numbers[1]!, 16) &&
    isWithin(numbers[2]!, 4);
  if (!isWhole) return null;
  const [n, r, p] = numbers as [number, number, number];
  const password = { cost: n, blockSize: r, parallelism: p, salt, key };
  return { name, role: role as UserRole, password };
}

function isCost(cost: number): boolean {
  return isWithin(cost, 2 ** 18) && cost >= 2 ** 12 && Number.isInteger(Math.log2(cost));
}

function isWithin(number: number, most: number): boolean {
  return Number.isInteger(number) && number >= 1 && number <= most;
}
