import type { ServerResponse } from 'node:http';
import { CATALOGUE } from '../../src/datasets/catalogue.ts';
import type { Prepared } from '../../src/simulator/simulator.ts';

/** What an indiscreet answer may quote. */
export interface Gossip {
  /** Names, numbers, tokens and keys in one text. */
  readonly text: string;
  readonly name: string;
  readonly mobile: string;
  readonly telephone: string;
  /** The token of this call, or an earlier one's. */
  readonly token: string;
  readonly baseKey: string;
  /** The call's own query. */
  readonly query: string;
}

/** Answers in a way that quotes what must not get any further. */
export type Indiscretion = (response: ServerResponse, gossip: Gossip, prepared: Prepared) => void;

const json = (response: ServerResponse, body: unknown, status = 200, type = 'application/json') =>
  void response.writeHead(status, { 'content-type': type }).end(JSON.stringify(body));

const page = (response: ServerResponse, { text, query }: Gossip, status = 200) =>
  void response
    .writeHead(status, { 'content-type': 'text/html; charset=UTF-8' })
    .end(`<html><head><title>${text}</title></head><body>气户名称|${text} ${query}</body></html>`);

/** The table that the call would get: fields of its header, and its lines. */
function tableOf({ answer }: Prepared): { header: string[]; lines: string[] } {
  let text = '';
  const chunks = answer.chunks();
  for (let next = chunks.next(); !next.done; next = chunks.next()) text += next.value;
  const [header = '', ...lines] = text.trimEnd().split('\n');
  return { header: header.split('|'), lines };
}

const table = (response: ServerResponse, lines: readonly (string | Buffer)[]) => {
  const end = Buffer.from('\n');
  const body = Buffer.concat(lines.flatMap((line) => [Buffer.from(line), end]));
  response
    .writeHead(200, { 'content-type': 'text/plain;charset=UTF-8', 'content-length': body.length })
    .end(body);
};

/** Lines that quote people and must be refused, each for a reason of its own. */
function badLines({ name, mobile, telephone, text }: Gossip, prepared: Prepared): Buffer[] {
  const { columns, key } = CATALOGUE[prepared.record.dataset!];
  const fill = (over: Readonly<Record<string, string>>) =>
    columns.map((column, index) => over[column.name] ?? [name, mobile, telephone][index % 3]);
  const org_code = prepared.record.orgCode!;
  return [
    fill({ org_code }).join('|').concat(`|${name}|${mobile}`),
    `${name}|${mobile}`,
    text,
    fill({ [key]: '', org_code }).join('|'),
    fill({ [key]: 'K2', org_code: '' }).join('|'),
    // Fields have slipped: a name stands where the key should be.
    fill({ [key]: name, org_code: 'OTHER' }).join('|'),
    fill({ [key]: name, org_code: mobile }).join('|'),
    fill({ [key]: 'K1', org_code })
      .join('|')
      .concat('\0'),
    `${name}${mobile}`.repeat(5_000),
  ]
    .map((line) => Buffer.from(line))
    .concat(Buffer.concat([Buffer.from(fill({ org_code }).join('|')), Buffer.from([0xff])]));
}

/** In place of tables, by what it is. */
export const TABLE_INDISCRETIONS: Readonly<Record<string, Indiscretion>> = {
  'an HTML page': (response, gossip) => page(response, gossip),
  'an HTML page with status 503': (response, gossip) => page(response, gossip, 503),
  'a JSON error': (response, { text, query }) =>
    json(response, { resultCode: '50001', resultMsg: `用户不存在 ${text} ${query}` }),
  'a JSON error as text': (response, { text }) =>
    json(response, { resultCode: 50002, resultMsg: text }, 200, 'text/plain'),
  'a JSON error whose code quotes': (response, { text }) => json(response, { resultCode: text }),
  'a JSON error with status 500': (response, { text }) =>
    json(response, { resultCode: '50003', resultMsg: text }, 500),
  'a refused token': (response, { text }) =>
    json(response, { resultCode: '20001', resultMsg: text }),
  'success in place of a table': (response, { text }) =>
    json(response, { resultCode: '0', resultMsg: text }),
  'other JSON': (response, { text }) => json(response, [{ text }]),
  'broken JSON': (response, { text }) => void response.end(`{"resultMsg":"${text}`),
  'too many requests': (response, { text, name }) =>
    void response.writeHead(429, { 'retry-after': encodeURIComponent(name) }).end(text),
  'a redirect': (response, { query, baseKey }) =>
    void response.writeHead(302, { location: `/?key=${baseKey}&${query}` }).end(),
  'a reason phrase': (response, { token, mobile }) =>
    void response.writeHead(500, `${token} ${mobile}`).end(),
  'an answer that is no HTTP': (response, { text }) =>
    void response.socket?.end(`HTTP/9.9 ${text}\r\n\r\n${text}`),
  'a content type': (response, { text, token, mobile }) =>
    void response
      .writeHead(200, { 'content-type': `${mobile}/${token}; charset=${token}`, date: mobile })
      .end(text),
  'a content encoding': (response, { text, token }) =>
    void response.writeHead(200, { 'content-encoding': token }).end(text),
  'what is no gzip': (response, { text }) =>
    void response.writeHead(200, { 'content-encoding': 'gzip' }).end(text),
  'a header with names instead of columns': (response, gossip, prepared) => {
    const { header, lines } = tableOf(prepared);
    const { name, mobile, token } = gossip;
    table(response, [[name, mobile, token, ...header.slice(1)].join('|'), ...lines]);
  },
  'a header with a column twice': (response, gossip, prepared) => {
    const { header, lines } = tableOf(prepared);
    table(response, [[...header, header[0], gossip.name, gossip.mobile].join('|'), ...lines]);
  },
  'unknown columns': (response, { name, mobile }, prepared) => {
    const { header, lines } = tableOf(prepared);
    const more = (line: string) => `${line}|${name}|${mobile}`;
    table(response, [more(header.join('|')), ...lines.map(more)]);
  },
  'a table that is cut': (response, { text }, prepared) => {
    const { header, lines } = tableOf(prepared);
    const body = `${[header.join('|'), ...lines].join('\n')}\n${text}`;
    response.writeHead(200, { 'content-length': Buffer.byteLength(body) + 1000 });
    response.write(body, () => response.destroy());
  },
  'some bad lines': (response, gossip, prepared) => {
    const { header, lines } = tableOf(prepared);
    table(response, [header.join('|'), ...lines, ...badLines(gossip, prepared)]);
  },
  'too many bad lines': (response, gossip, prepared) => {
    const { header } = tableOf(prepared);
    const many = Array.from(
      { length: 30 },
      (_, index) => `${gossip.name}|${gossip.mobile}|${index}`,
    );
    table(response, [header.join('|'), ...many, ...badLines(gossip, prepared)]);
  },
};

/** In place of getToken's answer. */
export const TOKEN_INDISCRETIONS: Readonly<Record<string, Indiscretion>> = {
  'getToken: an HTML page': (response, gossip) => page(response, gossip),
  'getToken: a JSON error': (response, { text, query }) =>
    json(response, { resultCode: '40001', resultMsg: `签名错误 ${text} ${query}` }),
  'getToken: a refused token': (response, { text }) =>
    json(response, { resultCode: '20001', resultMsg: text }),
  'getToken: status 403': (response, { text }) => json(response, { text }, 403),
  'getToken: a token that is none': (response, { text }) =>
    json(response, { token: text, expireTime: text }),
};
