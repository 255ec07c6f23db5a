import type { WebSettings } from '../../src/web/server.ts';
import { APP_ID, BASE_KEY } from './sync-harness.ts';

/** Settings of a web role without users: whoever reaches it, on loopback only, may do everything. */
export const WEB_SETTINGS: WebSettings = {
  WEB_HOST: '127.0.0.1',
  WEB_PORT: 0,
  WEB_USERS: [],
  WEB_PUBLIC: ['healthz', 'readyz'],
  WEB_TRUST_PROXY: [],
  VCC_APP_ID: APP_ID,
  VCC_BASE_KEY: BASE_KEY,
  PUSH_ENABLED: false,
  PUSH_SECRET: null,
};
