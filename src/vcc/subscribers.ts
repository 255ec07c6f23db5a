import { z } from 'zod';
import type {
  SubscriberPage,
  SubscriberSearch,
  SubscriberSource,
  ToldSubscriber,
} from '../sync/ports.ts';
import { CALLS } from './interfaces.ts';
import { type Caller, otherForm, readForm } from './json-form.ts';
import { readCreateTime } from './platform-time.ts';

/** The most subscribers that one page may hold (P8). */
export const LARGEST_PAGE = 100;

/** A text, though some gateways write codes as numbers; what is empty is null. */
const TEXT = z
  .union([z.string(), z.int().transform(String), z.null()])
  .optional()
  .transform((text) => (text ? text : null));

/** A text that has to be there. */
const CODE = z.union([z.string().min(1), z.int().transform(String)]);

/** A count or page number, though some gateways write numbers as texts. */
const COUNT = z.union([
  z.int().min(0),
  z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number),
]);

/** A subscriber under either of the names that the document gives its fields (P8). */
const SUBSCRIBER = z
  .object({
    subsCode: CODE,
    name: TEXT,
    addrCode: TEXT,
    addrDetail: TEXT,
    displayAddr: TEXT,
    fullAddr: TEXT,
    subsType: TEXT,
    state: TEXT,
    tel: TEXT,
    phone: TEXT,
    mobile: TEXT,
    orgCode: TEXT,
  })
  .transform(
    (told): ToldSubscriber => ({
      subscriber_code: told.subsCode,
      name: told.name,
      address_code: told.addrCode,
      address_detail: told.addrDetail,
      subscriber_type: told.subsType,
      state: told.state,
      telephone: told.tel,
      mobile: told.mobile ?? told.phone,
      org_code: told.orgCode,
      display_address: told.displayAddr ?? told.fullAddr,
    }),
  );

const PAGE = z.object({
  pageIndex: COUNT.optional(),
  total: COUNT,
  // An organisation without any may be answered without a list.
  datas: z
    .array(SUBSCRIBER)
    .nullish()
    .transform((datas) => datas ?? []),
});

/** What an answer may say of itself, beside what was asked for (P3). */
const HEAD = /^(?:resultCode|resultMsg|time_?stamp|sign)$/i;

/**
 * A result code and nothing beside it: success without what was asked for, since failures have been
 * thrown (P5). What says more is another form than documented, and must not pass for "none".
 */
const NOTHING = z
  .record(z.string(), z.unknown())
  .refine((told) => 'resultCode' in told)
  .refine((told) =>
    Object.entries(told).every(([name, value]) => HEAD.test(name) || isEmpty(value)),
  );

function isEmpty(value: unknown): boolean {
  return value === null || (Array.isArray(value) && value.length === 0);
}

/** There is no such subscriber. */
const NOBODY = NOTHING.transform(() => null);

/** A subscriber that a member has bound to their account (3006). */
export interface BoundSubscriber {
  readonly subscriberCode: string;
  readonly nickName: string | null;
  readonly orgCode: string;
  /** When it was bound, in milliseconds since the epoch; null if it can not be read. */
  readonly createdAt: number | null;
}

const BOUND = z.array(
  z.object({ subsCode: CODE, nickName: TEXT, orgCode: CODE, createTime: z.unknown() }).transform(
    ({ subsCode, nickName, orgCode, createTime }): BoundSubscriber => ({
      subscriberCode: subsCode,
      nickName,
      orgCode,
      createdAt: readCreateTime(createTime),
    }),
  ),
);

/** The member has bound none. */
const NONE_BOUND = NOTHING.transform((): BoundSubscriber[] => []);

/** The calls about single subscribers (3005 to 3007). */
export interface SubscriberCalls extends SubscriberSource {
  /** The subscribers that a member has bound (3006). @throws SyncError as `searchSubscribers` */
  boundSubscribers(userCode: string, signal: AbortSignal): Promise<readonly BoundSubscriber[]>;
}

/** Opens the calls about single subscribers. */
export function openSubscribers(call: Caller): SubscriberCalls {
  async function askForPage(
    search: SubscriberSearch,
    pageIndex: number,
    signal: AbortSignal,
  ): Promise<SubscriberPage> {
    const request = {
      ...CALLS.search,
      parameters: {
        orgCode: search.orgCode,
        subsCode: search.subscriberCode,
        name: search.name,
        addrCode: search.addressCode,
        fullAddr: search.fullAddress,
        tel: search.telephone,
        mobile: search.mobile,
        pageIndex,
        pageSize: search.pageSize ?? LARGEST_PAGE,
      },
    };
    const { total, datas, ...told } = readForm(request, await call(request, signal), PAGE);
    if (told.pageIndex !== undefined && told.pageIndex !== pageIndex) {
      throw otherForm('3007', `page ${told.pageIndex} in place of page ${pageIndex}`);
    }
    return { total, subscribers: datas };
  }

  async function* searchSubscribers(search: SubscriberSearch, signal: AbortSignal) {
    const { firstPage = 1, pageSize = LARGEST_PAGE } = search;
    let seen = (firstPage - 1) * pageSize;
    let first: string | undefined;
    for (let pageIndex = firstPage; ; pageIndex += 1) {
      const page = await askForPage(search, pageIndex, signal);
      const [begins] = page.subscribers;
      // A platform that gives the same page again and again would never come to an end.
      if (begins && begins.subscriber_code === first) {
        throw otherForm('3007', `page ${pageIndex} begins as the one before it`);
      }
      yield page;
      // A page may be shorter than asked for: only the total tells the end.
      seen += page.subscribers.length;
      first = begins?.subscriber_code;
      if (!begins || seen >= page.total) return;
    }
  }

  return {
    searchSubscribers,
    async boundSubscribers(userCode, signal) {
      const request = { ...CALLS.bound, parameters: { userCode, userType: 'MEMBER' } };
      const answered = await call(request, signal);
      const isList = answered.kind === 'json' && Array.isArray(answered.json.value);
      return readForm(request, answered, isList ? BOUND : NONE_BOUND);
    },
    async findSubscriber(orgCode, subscriberCode, signal) {
      const request = {
        ...CALLS.subscriber,
        parameters: { subsCode: subscriberCode, orgCode },
      };
      const answered = await call(request, signal);
      const found = readForm(request, answered, z.union([SUBSCRIBER, NOBODY]));
      if (found !== null && found.subscriber_code !== subscriberCode) {
        throw otherForm('3005', 'it is about another subscriber');
      }
      return found;
    },
  };
}
