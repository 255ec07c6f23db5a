import type { FastifyInstance } from 'fastify';
import { PUSH_INTERFACES } from '../core/push.ts';
import { limitRepeats, REPEAT_EVERY } from '../core/repeats.ts';
import { openNoticeStore } from '../store/notices.ts';
import { openPlatformState } from '../store/platform-state.ts';
import { type NoticeOutcome, takeNotice } from '../sync/push.ts';
import { PageError } from './page-error.ts';
import type { WebOptions } from './server.ts';

/** Told of every notice that was answered, by its interface; for metrics. */
export type NoticeObserver = (interfaceCode: string, outcome: NoticeOutcome) => void;

/** How each outcome is answered, in the platform's own form (P5); who can not sign learns no more than that. */
const ANSWERS: Readonly<Record<NoticeOutcome, readonly [status: number, message: string]>> = {
  accepted: [200, 'accepted'],
  ignored: [200, 'accepted'],
  replayed: [409, 'a notice of this seq was taken before'],
  stale: [409, 'the time in seq is not about now'],
  malformed: [400, 'seq, orgCode or the parameters are not as documented'],
  unsigned: [401, 'sign is missing or wrong'],
  forged: [401, 'sign is missing or wrong'],
};

/** Most bytes of a notice's body: it is a hint, and no data. */
const BODY_LIMIT = 16 * 1024;

/**
 * Adds `POST /hooks/vcc/:interface`, which takes the platform's notices of changes (7001 to 7005), where
 * the settings turn it on. A signature stands in place of log-in and origin.
 */
export async function addPush(app: FastifyInstance, options: WebOptions): Promise<void> {
  const { world, db, noticeDb = db, settings, noticed = () => {} } = options;
  if (!settings.PUSH_ENABLED) return;
  const secret = settings.PUSH_SECRET ?? settings.VCC_BASE_KEY;
  const pushWorld = {
    ...world,
    platformState: openPlatformState(noticeDb, settings.VCC_APP_ID),
    notices: openNoticeStore(noticeDb),
  };
  const maySay = limitRepeats(REPEAT_EVERY);

  await app.register(async (hooks) => {
    // The body is signed as it came, whatever it says it is; what can not be read would be refused.
    hooks.addHook('onRequest', async ({ headers }) => {
      delete headers['content-type'];
    });
    hooks.removeAllContentTypeParsers();
    hooks.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) =>
      done(null, body),
    );
    hooks.post<{ Params: { interface: string } }>(
      '/hooks/vcc/:interface',
      { bodyLimit: BODY_LIMIT, config: { isSigned: true } },
      async (request, reply) => {
        const interfaceCode = request.params.interface;
        if (!Object.hasOwn(PUSH_INTERFACES, interfaceCode)) throw new PageError(404, 'notFound');
        const { searchParams } = new URL(request.url, 'http://own.invalid');
        const body = typeof request.body === 'string' ? request.body : '';
        const received = { interfaceCode, query: [...searchParams], body };
        const outcome = await takeNotice(pushWorld, received, secret);
        noticed(interfaceCode, outcome);
        const [status, resultMsg] = ANSWERS[outcome];
        if (status !== 200 && maySay(outcome, world.clock())) {
          world.log.warn({ interface: interfaceCode, outcome }, 'push notice refused');
        }
        const resultCode = status === 200 ? '0' : String(status);
        return reply.code(status).send({ resultCode, resultMsg });
      },
    );
  });
}
