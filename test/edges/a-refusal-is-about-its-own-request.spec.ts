import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { bootApi, type Api } from '../support/api.js';
import { openBankInside, type BankInside } from '../support/bank-inside.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { call } from '../support/http.js';
import { checkMoney, checkOnePaymentPerKey } from '../support/invariants.js';
import { expectNoLeaks } from '../support/leak-check.js';

/**
 * The first answer on a connection belongs to the first request on it. So while a payment is being carried out,
 * bytes behind it that are no HTTP, or never end, cannot be refused: its caller would take the refusal for the payment's.
 */
describe('what comes behind a payment on its connection', () => {
  let database: Database;
  let alice: Customer;
  let bank: BankInside;
  let api: Api;

  beforeAll(async () => {
    [database, bank] = await Promise.all([createDatabase(), openBankInside()]);
    alice = await database.addCustomer({ name: 'alice', balance: 100_000 });
    api = await bootApi(database.url, {
      ...bank.env,
      REQUEST_TIMEOUT_MS: '300',
      BANK_REQUEST_TIMEOUT_MS: '1500',
    });
  });
  afterEach(async () => {
    await expectNoLeaks(database.sql);
    expect(await checkMoney(database.sql)).toEqual([]);
    expect(await checkOnePaymentPerKey(database.sql)).toEqual([]);
  });
  afterAll(async () => {
    await api.stop();
    await bank.stop();
    await database.drop();
  });

  it.each([
    ['is no HTTP', 'GARBAGE\r\n\r\n'],
    ['never ends', 'POST /payments HTTP/1.1\r\nHost:'],
    [
      'has a body that never ends',
      'POST /payments HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{',
    ],
    ['has too many headers', `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
  ])(
    'is not refused in its place, when it %s: silence, and the key tells what became of it',
    async (_, behind) => {
      const key = randomUUID();
      // Tim's bank has charged, and does not answer: the payment is under way.
      const body = JSON.stringify({ to: 'tim', amount: 100, currency: 'GBP', rail: 'bank' });
      const lines = [
        'POST /payments HTTP/1.1',
        'Host: localhost',
        `Authorization: Bearer ${alice.apiKey}`,
        `Idempotency-Key: ${key}`,
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
      ];
      const asked = (await bank.requests()).length;
      const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
      const heard: Buffer[] = [];
      socket.on('data', chunk => heard.push(chunk)).on('error', () => undefined);
      socket.write([...lines, '', body].join('\r\n'));
      while ((await bank.requests()).length === asked) await sleep(10);
      socket.write(behind);
      await Promise.race([once(socket, 'close'), sleep(4_000)]);
      socket.destroy();

      const told = Buffer.concat(heard).toString();
      // Nothing, or what the payment itself was answered; never a refusal.
      expect(told).toMatch(/^$|^HTTP\/1\.1 (200|202) /);
      let answer = await repeat(key, body);
      for (let tries = 0; answer.status === 409 && tries < 100; tries += 1) {
        await sleep(50);
        answer = await repeat(key, body);
      }
      expect([answer.status, answer.json]).toMatchObject([200, { status: 'succeeded' }]);
    },
  );

  const repeat = (key: string, body: string) =>
    call(`${api.url}/payments`, { apiKey: alice.apiKey, key, body });
});
