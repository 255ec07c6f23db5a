import type { UserRole } from '../core/user.ts';
import type { Locale } from './messages.ts';

/** Who looks at a page. */
export interface Viewer {
  /** Null where no users are set. */
  readonly name: string | null;
  readonly role: UserRole;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Null before log-in, on public addresses only. */
    viewer: Viewer | null;
    locale: Locale;
  }
  interface FastifyContextConfig {
    /** Served to anyone who reaches the address. */
    readonly isPublic?: boolean;
    /** Checked by a signature of its own: neither log-in, origin nor host name matter. */
    readonly isSigned?: boolean;
  }
}

/** How somebody is named in what is recorded of them: `web:alice`, or `web` where no users are set. */
export function requesterOf(viewer: Viewer | null): string {
  return viewer?.name ? `web:${viewer.name}` : 'web';
}
