import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PaySam } from '../../client/src/pay-sam.js';
import { setUpBankScene } from '../promises/bank-scene.js';
import type { ApiProcess } from '../support/api-process.js';
import { together } from '../support/http.js';
import { countNewRows, countRows } from '../support/invariants.js';
import { isFirstAnswer } from '../support/scene.js';
import { exchange, headerOf } from '../support/wire.js';

const requestTimeoutMs = 2_000;
const slowSockets = 500;

/** Whoever is not cut off by then is let to dawdle: many times what it may take, for a busy machine's sake. */
const cutOffMs = 15_000;

/** Callers that leave, hurry, dawdle or never end: none of them costs another caller anything. */
describe('callers in trouble', () => {
  const scene = setUpBankScene();
  let api: ApiProcess;

  beforeAll(async () => {
    const env = { REQUEST_TIMEOUT_MS: String(requestTimeoutMs), IN_FLIGHT_PER_CUSTOMER_MAX: '20' };
    api = await scene.start({ env });
  });

  it('F68: a client that leaves in mid-body leaves no row, no call to the bank, and takes up no place', async () => {
    const before = await countRows(scene.sql);
    const leave = async (sent: string) => {
      const socket = connect(api.port, '127.0.0.1');
      await new Promise(resolve => socket.write(sent, resolve));
      // It has arrived, and is waited for.
      await sleep(100);
      socket.destroy();
    };
    const json = JSON.stringify({ to: 'sam', amount: 100, currency: 'GBP', rail: 'bank', reference: 'left' });
    // Half of what was announced. Once that is no JSON yet; once it is all of it, and only white space is missing.
    for (const body of [json, json.padEnd(2 * json.length)]) {
      const half = body.slice(0, body.length / 2);
      // More of them than may be in flight at once.
      await together(30, n => leave(head(`leaves-${n}`, `Content-Length: ${body.length}`) + half));
      const chunk = `${half.length.toString(16)}\r\n${half}\r\n`;
      await together(30, n => leave(head(`leaves-${n}`, 'Transfer-Encoding: chunked') + chunk));
    }
    await sleep(200);

    expect(await countRows(scene.sql)).toEqual(before);
    const { requests } = (await scene.bank.control('GET', '/requests')) as { requests: object[] };
    expect(requests).toEqual([]);
    // Its key is as free as if it had never come.
    const answers = await together(20, n => scene.pay(api, `leaves-${n}`));
    expect(answers.filter(isFirstAnswer)).toHaveLength(20);
  });

  it('F79: a client that gives up sooner than the bank answers is told what came of it, under its one key', async () => {
    const before = await countRows(scene.sql);
    const held = await scene.barrier('after', { method: 'PUT' });
    const client = new PaySam({ apiKey: scene.alice.apiKey, baseUrl: api.url, attemptTimeoutMs: 200 });
    const paying = client.payments.create({ to: 'sam', amount: 100, currency: 'GBP', rail: 'bank' });
    await held.reached();
    // It has given up by then, more than once perhaps: the bank has paid, and says so to the one who asked first.
    await sleep(300);
    await held.release();

    const { data, attempts } = await paying;
    expect(data.status).toBe('succeeded');
    expect(attempts).toBeGreaterThan(1);
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 1, payments: 1, transfers: 1 });
    expect(await scene.bank.charges(data.id)).toHaveLength(1);
    expect((await scene.bank.requests(data.id)).PUT).toBe(1);
  });

  it('F80: two in one pipeline with one key are answered in their order, and are one payment', async () => {
    const before = await countRows(scene.sql);
    const twice = payment('pipeline', { reference: 'one' }).repeat(2);
    // What is asked last could be answered at once. That it has to wait is Node's promise, and is seen by it alone.
    const live = `GET /health/live HTTP/1.1\r\nHost: 127.0.0.1:${api.port}\r\n\r\n`;
    const { answers } = await exchange(api.port, twice + live);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    const [one, other, last] = answers.map(answer => answer.body);
    expect(one).toContain('"object":"payment"');
    expect(last).toContain('"status":"ok"');
    expect(other).toBe(one);
    // They are read at once, and share a transaction: either may be the one that paid.
    const outcomes = answers.slice(0, 2).map(answer => headerOf(answer, 'idempotency-status'));
    expect(outcomes.sort()).toEqual(['already_completed', 'completed']);
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 1, payments: 1, transfers: 1 });
  });

  it('F81: 500 that send a byte a second slow nobody down, and are cut off with 408', async () => {
    const before = await countRows(scene.sql);
    const body = payment('dawdles', { reference: 'r'.repeat(100) });
    const bodyAt = body.indexOf('\r\n\r\n') + 8;
    const began = performance.now();
    // Half of them are slow in their headers, half in their bodies.
    const slow = together(slowSockets, n => dawdle(body, n % 2 ? 40 : bodyAt));

    const tookMs: number[] = [];
    for (let sent = 0; performance.now() - began < 2 * requestTimeoutMs; sent += 1) {
      const at = performance.now();
      expect((await scene.pay(api, `quick-${sent}`, { rail: 'ledger' })).status).toBe(200);
      tookMs.push(performance.now() - at);
      await sleep(20);
    }
    // The middle of them, for a busy machine's sake; behind 500 others it would be seconds for each.
    expect(tookMs.toSorted((a, b) => a - b).at(tookMs.length / 2)).toBeLessThan(1_000);
    const ends = await slow;
    expect(ends.map(({ status }) => status)).toEqual(Array(slowSockets).fill('408'));
    expect(Math.max(...ends.map(({ afterMs }) => afterMs))).toBeLessThan(cutOffMs);
    const after = await countRows(scene.sql);
    expect(after.payments - before.payments).toBe(tookMs.length);
  });

  it('F82: bodies of 2 MB, and bodies without end, are refused with 413 and take up no memory', async () => {
    const before = await countRows(scene.sql);
    const rss = () => scene.metric(api, 'process_resident_memory_bytes');
    const send = async (n: number) => {
      const large = head(`large-${n}`, `Content-Length: ${2 * 1024 * 1024}`) + ' '.repeat(2 * 1024 * 1024);
      const { answers } = await exchange(api.port, large, { lingerMs: 0 });
      return [answers[0]?.status, await pourWithoutEnd(head(`endless-${n}`, 'Transfer-Encoding: chunked'))];
    };
    // The first round warms it up.
    await together(10, send);
    const warm = await rss();
    const endless: unknown[] = [];
    for (let round = 0; round < 5; round += 1) {
      const pairs = await together(10, n => send(n));
      expect(pairs.map(([large]) => large)).toEqual(Array(10).fill(413));
      endless.push(...pairs.map(([, status]) => status));
    }
    // Whoever goes on sending may meet the closed door before the answer: a reset overtakes what it has not read.
    expect(endless.filter(status => status !== 413 && status !== 'cut')).toEqual([]);
    expect(endless).toContain(413);
    expect((await rss()) - warm).toBeLessThan(48 * 1024 * 1024);
    expect(await countRows(scene.sql)).toEqual(before);
  });

  function payment(key: string, members: object): string {
    const body = JSON.stringify({ to: 'sam', amount: 100, currency: 'GBP', ...members });
    return head(key, `Content-Length: ${body.length}`) + body;
  }

  function head(key: string, framing: string): string {
    const lines = [
      'POST /payments HTTP/1.1',
      `Host: 127.0.0.1:${api.port}`,
      `Authorization: Bearer ${scene.alice.apiKey}`,
      `Idempotency-Key: "${key}"`,
      'Content-Type: application/json',
      framing,
    ];
    return [...lines, '', ''].join('\r\n');
  }

  /** Sends the first `at` bytes at once, then one a second. */
  async function dawdle(bytes: string, at: number): Promise<{ status: string | undefined; afterMs: number }> {
    const began = performance.now();
    const socket = connect(api.port, '127.0.0.1', () => socket.write(bytes.slice(0, at)));
    let sent = at;
    const dripping = setInterval(() => socket.write(bytes.charAt(sent++)), 1_000);
    const patience = setTimeout(() => socket.destroy(), cutOffMs);
    const [, status] = /^HTTP\/1.1 (\d+)/.exec(await answerOn(socket)) ?? [];
    clearInterval(dripping);
    clearTimeout(patience);
    return { status, afterMs: performance.now() - began };
  }

  /** Chunk after chunk, for as long as they are taken. */
  async function pourWithoutEnd(headers: string): Promise<number | 'cut'> {
    const socket = connect(api.port, '127.0.0.1');
    socket.write(headers);
    const chunk = `4000\r\n${' '.repeat(0x4000)}\r\n`;
    const pour = () => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', pour);
    pour();
    const [, status] = /^HTTP\/1.1 (\d+)/.exec(await answerOn(socket)) ?? [];
    socket.destroy();
    return status === undefined ? 'cut' : Number(status);
  }

  /** What has come when the first of it is there, or the other side has hung up. */
  function answerOn(socket: Socket): Promise<string> {
    return new Promise(resolve => {
      socket.once('data', chunk => {
        resolve(chunk.toString());
      });
      socket.on('error', () => undefined);
      socket.on('close', () => {
        resolve('');
      });
    });
  }
});
