import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kindOfAnswer } from '../../lab/prove/contract.js';
import {
  DriverLog,
  readDriverLogs,
  type Invoke,
  type LogLine,
  type Reply,
} from '../../lab/prove/driver-log.js';
import { FetchSender } from '../../lab/prove/fetch-sender.js';
import { planOperation } from '../../lab/prove/plan.js';
import { Random } from '../../lab/prove/random.js';
import { replyOf } from '../../lab/prove/reply.js';
import type { Ended, Request } from '../../lab/prove/send.js';
import { freePort } from '../../start/ports.js';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'paysam-log-'));
  path = join(folder, 'driver.jsonl');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const sent: Invoke = {
  ...{
    kind: 'invoke',
    exchange: 'd:1',
    operation: 'd-1',
    attempt: 1,
    customer: 'alice',
    key: 'k1',
    asked: 'pay',
  },
  ...{ request: null, params: null, at: 1 },
};
const paid: Reply = { kind: 'ok', exchange: 'd:1', at: 2, status: 200, headers: {}, body: 'sha' };

describe('a driver log', () => {
  it('gives each attempt back with how it ended, and those that nobody saw the end of', async () => {
    const log = new DriverLog(path);
    log.write(sent);
    log.write({ ...sent, exchange: 'd:2', attempt: 2, at: 3 });
    log.write(paid);
    // It is there before the log is closed, and before anything else happens.
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(4);
    log.close();
    expect(await readDriverLogs([path])).toEqual([
      { invoke: sent, reply: paid },
      { invoke: { ...sent, exchange: 'd:2', attempt: 2, at: 3 }, reply: null },
    ]);
  });

  it('may end in the middle of a line, where its driver was killed, and nowhere else', async () => {
    writeFileSync(path, `${lines(sent, paid)}{"kind":"invo`);
    expect(await readDriverLogs([path])).toHaveLength(1);
    appendFileSync(path, `\n${lines({ ...sent, exchange: 'd:2' })}`);
    await expect(readDriverLogs([path])).rejects.toThrow('driver.jsonl:3 is not a line of a driver log');
  });

  it.each([
    ['is a reply to nothing', lines(paid)],
    ['is a second reply', lines(sent, paid, paid)],
    ['invokes d:1 again', lines(sent, sent)],
  ])('that contradicts itself is no witness: %s', async (complaint, text) => {
    writeFileSync(path, text);
    await expect(readDriverLogs([path])).rejects.toThrow(complaint);
  });

  it('of several drivers is one, in the order in which they sent', async () => {
    const other = join(folder, 'other.jsonl');
    writeFileSync(path, lines({ ...sent, at: 5 }));
    writeFileSync(other, lines({ ...sent, exchange: 'e:1', at: 4 }));
    const exchanges = await readDriverLogs([path, other]);
    expect(exchanges.map(({ invoke }) => invoke.exchange)).toEqual(['e:1', 'd:1']);
  });
});

describe('what a caller knows', () => {
  const fails = [400, 401, 403, 404, 405, 413, 415, 422, 429, 431];
  it.each([
    ['ok', [200, 402], undefined],
    ['fail', fails, undefined],
    ['fail', [409], 'collision_detected'],
    ['fail', [409], 'operation_cancelled'],
    ['unknown', [409], 'in_progress'],
    ['unknown', [409], 'already_completed'],
    ['unknown', [202, 408, 500, 502, 503, 504], undefined],
  ] as const)('is %s after %j %s', (kind, statuses, code) => {
    expect(statuses.map(status => kindOfAnswer(status, code))).toEqual(statuses.map(() => kind));
  });

  it('is nothing after a silence, unless the connection was refused', () => {
    const about = { exchange: 'd:1', at: 1, asked: 'pay' } as const;
    expect(replyOf({ kind: 'silence', why: 'ECONNREFUSED' }, about).kind).toBe('fail');
    expect(replyOf({ kind: 'silence', why: 'ECONNRESET' }, about).kind).toBe('unknown');
  });
});

describe('the line about an answer', () => {
  const answered = (status: number, body: object, headers: [string, string][] = []): Ended => {
    return { kind: 'answered', status, headers: new Map(headers), text: JSON.stringify(body) };
  };
  const payment = {
    id: 'p1',
    object: 'payment',
    status: 'declined',
    amount: 100,
    currency: 'GBP',
    to: 'sam',
  };
  const told = { id: 'p1', status: 'declined', amount: 100, currency: 'GBP' };
  const about = { exchange: 'd:1', at: 1 };

  it('says which payment it is about, also in a problem, and keeps no other header', () => {
    const headers: [string, string][] = [
      ['idempotent-replayed', 'true'],
      ['date', 'today'],
    ];
    const reply = replyOf(answered(402, { code: 'insufficient_funds', payment }, headers), {
      ...about,
      asked: 'pay',
    });
    expect(reply).toMatchObject({ kind: 'ok', code: 'insufficient_funds', told });
    expect(reply.headers).toEqual({ 'idempotent-replayed': 'true' });
    // SHA-256 of the bytes as they came, worked out elsewhere.
    expect(replyOf({ ...answered(200, {}), text: 'abc' } as Ended, { ...about, asked: 'pay' }).body).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });

  it('shows the answer that is stored inside an operation', () => {
    const response = { status: 402, body: JSON.stringify({ payment }) };
    const reply = replyOf(answered(200, { state: 'completed', response }), { ...about, asked: 'look' });
    expect(reply).toMatchObject({ state: 'completed', inside: { status: 402, told } });
    expect(reply.told).toBeUndefined();
  });

  it('tells on a collision that repeats what the first request said', () => {
    const collision = { code: 'collision_detected', differs_in: ['amount'], detail: 'It was 4711 before.' };
    const asked = { ...about, asked: 'pay', notToTell: ['4711', 'sam', '471'] } as const;
    expect(replyOf(answered(409, collision), asked)).toMatchObject({
      differsIn: ['amount'],
      discloses: ['4711'],
    });
  });
});

describe('a driver', () => {
  const callers = [
    { name: 'alice', apiKey: 'a' },
    { name: 'bob', apiKey: 'b' },
    { name: 'legacy', apiKey: 'l', isKeyless: true },
  ] as const;
  const plans = (seed: number) =>
    Array.from({ length: 500 }, (_, nth) => planOperation({ seed, driver: 'd', callers }, nth));

  it('plans the same for the same seed, and something else for another', () => {
    expect(plans(1)).toEqual(plans(1));
    expect(plans(1)).not.toEqual(plans(2));
  });

  it('plans everything that callers do', () => {
    const all = plans(1);
    const some = (isSo: (plan: (typeof all)[number]) => boolean) => all.filter(isSo).length > 5;
    expect(new Set(all.map(({ params }) => `${params.rail} ${params.to}`)).size).toBeGreaterThanOrEqual(12);
    expect(some(plan => plan.collision !== undefined)).toBe(true);
    expect(some(plan => plan.cancel !== undefined)).toBe(true);
    expect(some(plan => plan.stranger !== undefined)).toBe(true);
    expect(some(plan => plan.isPut && plan.prefer !== undefined)).toBe(true);
    expect(some(plan => plan.key === null && plan.repeats > 0)).toBe(true);
    expect(new Set(all.map(({ key }) => key)).size).toBe(1 + all.filter(({ key }) => key !== null).length);
    expect(new Set(all.map(({ params }) => params.reference)).size).toBe(all.length);
  });
});

describe('the plain sender', () => {
  const request: Request = {
    apiKey: 'a',
    method: 'POST',
    path: '/payments',
    key: 'k1',
    asked: 'pay',
    body: '{}',
  };
  let server: Server;
  let keys: (string | undefined)[];
  let answers: ((response: import('node:http').ServerResponse) => void)[];

  beforeEach(async () => {
    keys = [];
    answers = [];
    server = createServer((incoming, response) => {
      keys.push(incoming.headers['idempotency-key'] as string | undefined);
      incoming.resume();
      answers.shift()?.(response);
    });
    await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening));
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  async function send(urls: string[]) {
    const ends: Ended[] = [];
    const seen: string[] = [];
    const listener = {
      begins: () => {
        // Before anything has arrived.
        seen.push(`begins after ${keys.length}`);
        return 'd:1';
      },
      ends: (_: string, end: Ended) => void ends.push(end),
    };
    const sender = new FetchSender(urls, new Random(1), () => 0);
    const last = await sender.send(request, listener, AbortSignal.timeout(10_000));
    return { last, ends, seen };
  }

  const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  it('sends the same key until it is told an end, whatever comes between', async () => {
    answers = [
      response => response.destroy(),
      response => response.writeHead(202, { 'retry-after': '1' }).end('{}'),
      response => response.writeHead(409, { 'should-retry': 'true', 'retry-after': '1' }).end('{}'),
      response => {
        // Half an answer.
        response.writeHead(200, { 'content-length': '100' }).write('{"id":');
        setTimeout(() => response.destroy(), 20);
      },
      response => response.writeHead(503, { 'should-retry': 'true' }).end('{}'),
      response => response.writeHead(402, { 'should-retry': 'false' }).end('{}'),
    ];
    const { last, ends, seen } = await send([url()]);
    expect(last).toMatchObject({ kind: 'answered', status: 402 });
    expect(ends.map(end => (end.kind === 'answered' ? end.status : end.kind))).toEqual([
      ...['silence', 202, 409, 'silence', 503, 402],
    ]);
    expect(keys).toEqual(Array.from({ length: 6 }, () => '"k1"'));
    expect(seen).toEqual([0, 1, 2, 3, 4, 5].map(number => `begins after ${number}`));
  });

  it('comes at once when the run ends, although it was told to come back in half a minute', async () => {
    answers = [
      response => response.writeHead(202, { 'retry-after': '30' }).end('{}'),
      response => response.writeHead(202, { 'retry-after': '30' }).end('{}'),
      response => response.writeHead(200).end('{}'),
    ];
    const sender = new FetchSender([url()], new Random(1));
    const listener = {
      begins: () => 'd:1',
      ends: () => {
        sender.hurry();
      },
    };
    expect(await sender.send(request, listener, AbortSignal.timeout(10_000))).toMatchObject({ status: 200 });
    expect(keys.length).toBe(3);
  });

  it('knows a refused connection from a silence, and turns to the next API', async () => {
    answers = [response => response.writeHead(200).end('{}')];
    const { ends } = await send([url(), `http://127.0.0.1:${await freePort()}`]);
    expect(ends).toMatchObject([{ kind: 'silence', why: 'ECONNREFUSED' }, { status: 200 }]);
  });
});

function lines(...of: LogLine[]): string {
  return of.map(line => JSON.stringify(line) + '\n').join('');
}
