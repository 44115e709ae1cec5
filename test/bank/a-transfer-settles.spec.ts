import { BankContradicted, BankUnavailable, type BankClient } from '../../src/bank/bank.client.js';
import { SmallBank, clientFor, error, first, order, patient, says, silent } from './small-bank.js';

describe('a transfer settles', () => {
  let bank: SmallBank;
  let client: BankClient;
  const id = 'trf_pay_1';
  const accepted = { kind: 'done', transfer: { id, status: 'accepted' } };
  const ask = () => client.settlement(order, id, { signal: patient });
  const become = (status: string) => Object.assign(bank.transfers.get('pay_1') ?? {}, { status });

  beforeEach(async () => {
    bank = await SmallBank.start();
    client = clientFor(bank.url, { bankTimeoutMs: 1_000, bankRetryTokens: 20 });
    await client.pay(order, first);
    bank.requests.length = 0;
  });
  afterEach(async () => {
    await client.close();
    bank.stop();
  });

  it.each(['settled', 'returned'])('asks until it is %s', async status => {
    setTimeout(become, 300, status);
    expect(await ask()).toEqual({ kind: 'done', transfer: { id, status } });
    expect(bank.requests.length).toBeGreaterThan(2);
    expect(bank.requests.length).toBeLessThan(10);
  });

  it('says `accepted` when it takes longer than a call, however little may be repeated', async () => {
    client = clientFor(bank.url, { bankTimeoutMs: 1_500, bankRetryTokens: 0, bankRequestsMax: 1 });
    const began = Date.now();
    expect(await ask()).toEqual(accepted);
    expect(Date.now() - began).toBeGreaterThan(400);
    expect(Date.now() - began).toBeLessThan(1_700);
    expect(bank.requests.length).toBeGreaterThan(2);
  });

  it('keeps what it knows when the bank then falls silent', async () => {
    setTimeout(() => (bank.usual = silent), 100);
    expect(await ask()).toEqual(accepted);
  });

  it('is no more in doubt than before when the bank could not be asked', async () => {
    bank.stop();
    expect((await ask()).kind).toBe('not_sent');
  });

  it('gets over an answer that is lost', async () => {
    become('settled');
    bank.plan(says(500, error('internal')));
    expect(await ask()).toMatchObject({ kind: 'done', transfer: { status: 'settled' } });
  });

  it('is unknown once the bank has forgotten it', async () => {
    bank.transfers.clear();
    expect((await ask()).kind).toBe('unknown');
    expect(bank.requests).toHaveLength(1);
  });

  it('is contradicted by a decline, and by another transfer under its reference', async () => {
    Object.assign(bank.transfers.get('pay_1') ?? {}, {
      status: 'declined',
      decline: { code: 'late', message: 'No.' },
    });
    expect((await ask()).kind).toBe('contradicted');
    Object.assign(bank.transfers.get('pay_1') ?? {}, { status: 'settled', id: 'trf_other' });
    expect((await ask()).kind).toBe('contradicted');
  });
});

describe("the bank's statement", () => {
  let bank: SmallBank;
  let client: BankClient;
  beforeEach(async () => {
    bank = await SmallBank.start();
    client = clientFor(bank.url);
  });
  afterEach(async () => {
    await client.close();
    bank.stop();
  });

  it('is read from where it was left', async () => {
    const booking = { sequence: 8, kind: 'charge', transfer_id: 'trf_1', reference: 'pay_1', amount: 10_000 };
    bank.usual = (response, process, request) => {
      expect(request.url).toBe('/transfers?since=7');
      says(200, {
        bookings: [{ ...booking, currency: 'GBP', booked_at: '2026-02-03T04:05:06.789Z' }],
        next: 8,
      })(response, process, request);
    };
    const { bookings, next } = await client.statement(7, patient);
    expect(next).toBe(8);
    expect(bookings).toMatchObject([{ sequence: 8, kind: 'charge', transferId: 'trf_1', amount: 10_000n }]);
  });

  it('is unavailable, or contradicted, and says which', async () => {
    bank.plan(says(503, error('unavailable')), silent, says(200, { bookings: [{}], next: 1 }));
    await expect(client.statement(0, patient)).rejects.toThrow(BankUnavailable);
    await expect(client.statement(0, patient)).rejects.toThrow(BankUnavailable);
    await expect(client.statement(0, patient)).rejects.toThrow(BankContradicted);
  });
});
