import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileJournal } from '@pay-sam/client/node';
import { ClientSender } from '../../lab/prove/client-sender.js';
import { readDriverLogs } from '../../lab/prove/driver-log.js';
import { meantBy, readPast } from '../../lab/prove/driver-past.js';
import { FetchSender } from '../../lab/prove/fetch-sender.js';
import { Random } from '../../lab/prove/random.js';
import { findHoles } from '../../lab/prove/log-holes.js';
import { Scribe } from '../../lab/prove/scribe.js';
import type { Request } from '../../lab/prove/send.js';

/** A driver that was killed leaves a log, and the published client's journal: with both, another one goes on. */
describe('a driver that was killed goes on', () => {
  let folder: string;
  let log: string;
  let server: Server;
  let url: string;
  /** How it answers, request by request: a key that is left unanswered, or its payment. */
  let isSilent: boolean;
  let keysSeen: string[];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'paysam-goes-on-'));
    log = join(folder, 'driver.jsonl');
    isSilent = false;
    keysSeen = [];
    server = createServer((request, response) => {
      const key = String(request.headers['idempotency-key']).replaceAll('"', '');
      keysSeen.push(key);
      request.resume();
      if (isSilent) request.socket.destroy();
      else {
        response.writeHead(200, { 'content-type': 'application/json', 'idempotency-key': key });
        response.end(`{"object":"payment","status":"succeeded","idempotency_key":"${key}"}`);
      }
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterEach(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  });

  const params = {
    to: 'sam',
    amount: 100,
    currency: 'GBP',
    from: 'alice',
    rail: 'ledger',
    reference: 'd-1',
  } as const;
  const wish = { operation: 'd-1', customer: 'alice', key: 'key-d-1', asked: 'pay', params } as const;
  const request: Request = {
    apiKey: 'sk_test',
    method: 'POST',
    path: '/payments',
    key: 'key-d-1',
    asked: 'pay',
    body: JSON.stringify(params),
  };
  const senderOf = () =>
    new ClientSender(
      { urls: [url], journal: join(folder, 'journal') },
      new FetchSender([url], new Random(1)),
    );

  it('what the journal holds is sent again, under the same key and in the same log', async () => {
    isSilent = true;
    const dying = new AbortController();
    const first = senderOf().send(request, new Scribe(log, 'd').listen(wish), dying.signal);
    while (keysSeen.length === 0) await new Promise(resolve => setTimeout(resolve, 5));
    dying.abort();
    expect(await first).toBeNull();
    const before = (await readDriverLogs([log])).length;

    isSilent = false;
    const again = new Scribe(log, 'd', readPast(log, 'd'));
    const listenerOf = (entry: Parameters<typeof meantBy>[0]) =>
      again.listen({ ...meantBy(entry, 'alice'), customer: 'alice', key: entry.key });
    await senderOf().takeUp('sk_test', listenerOf, new AbortController().signal);

    const exchanges = await readDriverLogs([log]);
    expect(exchanges).toHaveLength(before + 1);
    expect(exchanges.at(-1)).toMatchObject({
      invoke: { ...wish, attempt: before + 1 },
      reply: { kind: 'ok', status: 200, headers: { 'idempotency-key': 'key-d-1' } },
    });
    expect(exchanges.at(-1)?.reply?.body).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set(keysSeen)).toEqual(new Set(['key-d-1']));
    expect(findHoles(exchanges)).toEqual([]);
    // One folder for each customer.
    const [customer] = readdirSync(join(folder, 'journal')) as [string];
    expect(await FileJournal.at(join(folder, 'journal', customer)).unfinished()).toEqual([]);
  });

  it('a line that was cut short is taken away, and its operation asked for again', () => {
    const scribe = new Scribe(log, 'd');
    const listener = scribe.listen({ ...wish, operation: 'd-2' });
    const exchange = listener.begins();
    const whole = readFileSync(log, 'utf8');
    appendFileSync(log, `{"kind":"ok","exchange":"${exchange}","sta`);

    // The first has left no trace: it may have been about to be sent.
    expect(readPast(log, 'd')).toMatchObject({ exchanges: 1, begun: 2, open: [1, 2] });
    expect(readFileSync(log, 'utf8')).toBe(whole);
  });

  it('only an answer that settles it ends an operation', () => {
    const scribe = new Scribe(log, 'd');
    const answered = (status: number, headers: [string, string][] = []) => ({
      kind: 'answered' as const,
      status,
      headers: new Map(headers),
      text: '{}',
    });
    const tell = (operation: string, end: ReturnType<typeof answered>) => {
      const listener = scribe.listen({ ...wish, operation });
      listener.ends(listener.begins(), end);
    };
    tell('d-1', answered(200));
    tell('d-2', answered(202));
    tell('d-3', answered(503, [['should-retry', 'true']]));
    tell('d-4', answered(422, [['should-retry', 'false']]));
    expect(readPast(log, 'd').open).toEqual([2, 3]);
  });
});
