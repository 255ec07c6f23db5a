import { get, type RequestOptions } from 'node:http';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Tells whether a Docker engine answers within a second; testcontainers would ask for much longer. */
export async function dockerAnswers(): Promise<boolean> {
  const answers = await Promise.all(places().map(ping));
  return answers.includes(true);
}

function places(): RequestOptions[] {
  const host = process.env.DOCKER_HOST;
  if (host?.startsWith('unix://')) return [{ socketPath: host.slice('unix://'.length) }];
  if (host) {
    const { hostname, port } = new URL(host);
    return [{ host: hostname, port }];
  }
  const runtime = process.env.XDG_RUNTIME_DIR;
  return [
    { socketPath: '/var/run/docker.sock' },
    { socketPath: join(homedir(), '.docker/run/docker.sock') },
    ...(runtime ? [{ socketPath: join(runtime, 'docker.sock') }] : []),
  ];
}

function ping(place: RequestOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ ...place, path: '/_ping', timeout: 1_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('error', () => resolve(false));
    request.on('timeout', () => request.destroy());
  });
}
