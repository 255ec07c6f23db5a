import type { Server } from 'node:http';
import { type AddressInfo, isIPv6, type Socket } from 'node:net';

/** A server that can stop listening for a while and come back on the same port. */
export interface Listener {
  /** Its address, such as `http://127.0.0.1:8090`. */
  readonly origin: string;
  /**
   * Stops listening and cuts all connections, at once; the answer listens again. As long as anyone who
   * made it deaf has not taken it back, it stays so.
   */
  goDeaf(): () => Promise<void>;
  /** Cuts every connection and stops for good. */
  close(): Promise<void>;
}

/**
 * Lets a server listen on an address.
 *
 * @param port 0 for any free one
 * @throws Error if the port can not be had
 */
export async function createListener(
  server: Server,
  port: number,
  host = '127.0.0.1',
): Promise<Listener> {
  // A client that hangs up has given up: its download is over, whatever is still to be sent.
  server.on('connection', (socket: Socket) => socket.once('end', () => socket.destroy()));
  await listen(server, port, host);
  const own = (server.address() as AddressInfo).port;
  const deaf = new Set<object>();
  let isClosed = false;
  let turn = Promise.resolve();

  function stop(): Promise<void> {
    const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    return stopped;
  }

  /** One after another, since a port is only free once the last connection has closed. */
  function settle(): Promise<void> {
    turn = turn.then(async () => {
      if (!isClosed && deaf.size === 0 && !server.listening) await listen(server, own, host);
    });
    return turn;
  }

  return {
    origin: `http://${isIPv6(host) ? `[${host}]` : host}:${own}`,
    goDeaf() {
      const mark = {};
      deaf.add(mark);
      if (server.listening) {
        const stopped = stop();
        turn = turn.then(() => stopped);
      }
      return () => {
        deaf.delete(mark);
        return settle();
      };
    },
    async close() {
      isClosed = true;
      await turn;
      if (server.listening) await stop();
    },
  };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
