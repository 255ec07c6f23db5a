/** How far a pool of connections is used. */
export interface PoolUse {
  readonly name: string;
  /** Most connections at once. */
  readonly max: number;
  /** Connections that are open, idle ones included. */
  readonly total: number;
  readonly idle: number;
  /** Callers that wait for one. */
  readonly waiting: number;
}

/** Reads how far a pool of `pg` is used. */
export function readPoolUse(
  name: string,
  pool: {
    readonly options: { readonly max: number };
    readonly totalCount: number;
    readonly idleCount: number;
    readonly waitingCount: number;
  },
): PoolUse {
  return {
    name,
    max: pool.options.max,
    total: pool.totalCount,
    idle: pool.idleCount,
    waiting: pool.waitingCount,
  };
}
