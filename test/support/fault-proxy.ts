import { setMaxListeners } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Where a proxy leads. */
export interface FaultProxyOptions {
  readonly target: { readonly host: string; readonly port: number };
}

/** A TCP proxy that goes wrong on demand. */
export interface FaultProxy {
  /** Port on 127.0.0.1. */
  readonly port: number;
  /** A URL of the target, leading through the proxy instead. */
  url(original: string): string;
  /** Connections of which at least one side is open. */
  readonly connections: number;
  /** Resets all connections at once; new ones are served. */
  cut(): void;
  /** Refuses new connections, since nobody listens, or no longer; those that are open go on. */
  refuse(on: boolean): Promise<void>;
  /**
   * Swallows what comes from either side, ends of connections too, or no longer. New connections are
   * accepted and lead nowhere; nothing is closed, so each side believes the other to be there.
   *
   * What was swallowed can not be sent again, so a connection that lived through it is beyond repair:
   * it is reset when the black hole ends, as by a firewall that has forgotten it. To go on with bytes
   * missing would break the protocol in ways that no network does.
   */
  blackHole(on: boolean): void;
  /**
   * Holds each piece back for `ms`, and lets at most `bytesPerSecond` through in each direction of a
   * connection. Everything arrives, in order.
   */
  slow(ms: number, bytesPerSecond?: number): void;
  /** Ends every fault: what was slow goes on at full speed, what was in the black hole is reset. */
  restore(): Promise<void>;
  /** Cuts everything and stops; twice is harmless. */
  close(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  /** Null for a connection that was accepted into the black hole. */
  readonly upstream: Socket | null;
  /** Something may have been swallowed. */
  lost: boolean;
}

interface Weather {
  isBlackHole: boolean;
  latency: number;
  /** Bytes that pass at once before a pause, and bytes a second; null: no limit. */
  rate: number | null;
  /** Aborts when it clears up, so that nobody waits on. */
  changed: AbortController;
}

/** Pieces in which slow bytes travel: this many a second. */
const PIECES_PER_SECOND = 20;

/** Every piece on its way waits on it, however many there are. */
function untilChanged(): AbortController {
  const changed = new AbortController();
  setMaxListeners(0, changed.signal);
  return changed;
}

/**
 * Starts a proxy on 127.0.0.1, all well at first. A side that stops reading stops the other side's
 * sending, as it would without a proxy.
 *
 * @throws Error if it can not listen
 */
export async function startFaultProxy({ target }: FaultProxyOptions): Promise<FaultProxy> {
  const weather: Weather = {
    isBlackHole: false,
    latency: 0,
    rate: null,
    changed: untilChanged(),
  };
  const pairs = new Set<Pair>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const pair = openPair(client, target, weather);
    pairs.add(pair);
    // In the black hole one side may be gone while the other knows nothing of it.
    const leave = () => isOver(pair) && pairs.delete(pair);
    onceClosed(client, leave);
    if (pair.upstream) onceClosed(pair.upstream, leave);
  });
  await listen(server, 0);
  const { port } = server.address() as AddressInfo;

  function change(next: Partial<Weather>): void {
    const { changed } = weather;
    Object.assign(weather, { changed: untilChanged() }, next);
    changed.abort();
  }

  function reset(which: (pair: Pair) => boolean): void {
    for (const pair of [...pairs].filter(which)) resetPair(pair);
  }

  function blackHole(on: boolean): void {
    if (on) for (const pair of pairs) pair.lost = true;
    change({ isBlackHole: on });
    if (!on) reset(({ lost }) => lost);
  }

  async function refuse(on: boolean): Promise<void> {
    // The callback of close waits for all connections, and those that are open shall go on.
    if (on && server.listening) server.close();
    if (!on && !server.listening) await listen(server, port);
  }

  return {
    port,
    url(original) {
      const url = new URL(original);
      url.hostname = '127.0.0.1';
      url.port = String(port);
      return url.href;
    },
    get connections() {
      return pairs.size;
    },
    cut: () => reset(() => true),
    refuse,
    blackHole,
    slow: (ms, bytesPerSecond) => change({ latency: ms, rate: bytesPerSecond ?? null }),
    async restore() {
      blackHole(false);
      change({ latency: 0, rate: null });
      await refuse(false);
    },
    async close() {
      if (server.listening) server.close();
      const sockets = [...pairs].flatMap(({ client, upstream }) => [client, upstream ?? client]);
      const closed = sockets
        .filter((one) => !one.closed)
        .map((one) => new Promise<void>((resolve) => onceClosed(one, resolve)));
      reset(() => true);
      await Promise.all(closed);
    },
  };
}

function isOver({ client, upstream }: Pair): boolean {
  return client.closed && (upstream?.closed ?? true);
}

function openPair(client: Socket, target: FaultProxyOptions['target'], weather: Weather): Pair {
  client.setNoDelay(true);
  const upstream = weather.isBlackHole ? null : connect({ ...target, allowHalfOpen: true });
  upstream?.setNoDelay(true);
  const pair: Pair = { client, upstream, lost: weather.isBlackHole };
  // What fails on one side is told to the other by `carry`.
  client.on('error', () => {});
  upstream?.on('error', () => {});
  void carry(pair, client, upstream, weather);
  if (upstream) void carry(pair, upstream, client, weather);
  return pair;
}

/** Carries everything from one side to the other, as the weather allows, then tells how it ended. */
async function carry(pair: Pair, from: Socket, to: Socket | null, weather: Weather): Promise<void> {
  // The next piece is only read once the other side has taken this one; at the end of one direction
  // the other goes on.
  const pieces = from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  let isBroken = false;
  try {
    for await (const piece of pieces) {
      if (to === null || pair.lost) continue;
      await hand(pair, piece, to, weather);
    }
  } catch {
    isBroken = true;
  }
  if (to === null || pair.lost) return;
  if (isBroken || from.errored) resetPair(pair);
  else to.end();
}

async function hand(pair: Pair, piece: Buffer, to: Socket, weather: Weather): Promise<void> {
  await wait(weather.latency, weather);
  let rest = piece;
  while (rest.length > 0 && !pair.lost && !to.destroyed) {
    const size = weather.rate === null ? rest.length : pieceSize(weather.rate);
    const sent = rest.subarray(0, size);
    rest = rest.subarray(sent.length);
    if (!to.write(sent)) await drained(to);
    if (weather.rate !== null) await wait((sent.length / weather.rate) * 1000, weather);
  }
}

function pieceSize(rate: number): number {
  return Math.max(1, Math.ceil(rate / PIECES_PER_SECOND));
}

/** Waits so many milliseconds, or until the weather changes. */
async function wait(ms: number, { changed }: Weather): Promise<void> {
  if (ms <= 0) return;
  await delay(ms, undefined, { signal: changed.signal }).catch(() => {});
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}

function resetPair({ client, upstream }: Pair): void {
  resetSocket(client);
  if (upstream) resetSocket(upstream);
}

/**
 * Tells when a socket is closed, at least once. The reset of one that is being shut down fails, which is
 * told as an error: it is closed all the same, but by Node without a word.
 */
function onceClosed(socket: Socket, closed: () => void): void {
  socket.once('close', closed);
  socket.once('error', () => setImmediate(closed));
}

/** Resets a connection; one that its peer has just ended can only be closed. */
function resetSocket(socket: Socket): void {
  try {
    socket.resetAndDestroy();
  } catch {
    socket.destroy();
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
}
