import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Wire } from './fault.ts';

/**
 * Sends what a fault puts in place of an answer, no faster than it is taken; it returns early if the
 * client hangs up, and with an ending in silence while the connection is still open.
 *
 * @param onFirstPiece called once the body's first piece is handed on
 */
export async function sendWire(
  wire: Wire,
  response: ServerResponse,
  onFirstPiece: () => void = () => {},
): Promise<void> {
  openHead(wire, response);
  let isFirst = true;
  for (const piece of wire.body) {
    if (!isFirst && wire.pause) await delay(wire.pause);
    if (response.destroyed) return;
    if (!response.write(piece)) await drained(response);
    if (isFirst) onFirstPiece();
    isFirst = false;
  }
  if (response.destroyed) return;
  if (wire.ending === 'end') {
    response.end();
    return;
  }
  // Head and body must be on their way before the connection goes, however short they are.
  await flushed(response);
  if (wire.ending === 'close') response.destroy();
  if (wire.ending === 'reset') response.socket?.resetAndDestroy();
}

function openHead(wire: Wire, response: ServerResponse): void {
  for (const [name, value] of Object.entries(wire.headers)) response.setHeader(name, value);
  response.statusCode = wire.status;
  if (wire.framing === 'length') {
    const length = wire.length ?? [...wire.body].reduce((sum, piece) => sum + piece.length, 0);
    response.setHeader('content-length', length);
  } else if (wire.framing === 'unframed') {
    response.useChunkedEncodingByDefault = false;
    response.shouldKeepAlive = false;
  }
  response.flushHeaders();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}

/** Resolves once everything written is with the system, or the connection is gone. */
function flushed({ socket }: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (!socket || socket.destroyed) resolve();
    // Writes are handed on in order: the callback of an empty one tells that all before it are.
    else socket.write('', () => resolve());
  });
}
