import { createHash } from 'node:crypto';
import type { BankRequest, Booking } from '../../lab/prove/bank-witness.js';
import type {
  AccountRow,
  CustomerRow,
  KeyChange,
  KeyRow,
  PaymentRow,
  RefundRow,
  TransferRow,
} from '../../lab/prove/database-witness.js';
import type { Asked, Exchange, PaymentAsked, RefundAsked, Reply, Told } from '../../lab/prove/driver-log.js';
import type { Coverage, MoneyWatched, ProgressAsked, ResourcesWatched } from '../../lab/prove/run-record.js';

/** Witnesses that a test may tamper with. */
export type Tampered<T> = T extends object ? { -readonly [Name in keyof T]: Tampered<T[Name]> } : T;

/** The first moment of the made-up run, by the database's clock. */
const epochMs = Date.parse('2026-01-01T00:00:00Z');
const dayMs = 86_400_000;

/** Everything that can happen to one intended payment, as far as three witnesses can tell. */
export const kinds = [
  'paid',
  'paid after the answer was lost',
  'paid, and the driver died',
  'paid after a 503',
  'paid through the bank',
  'paid through the bank by the completer',
  'declined for want of money',
  'declined by the bank',
  'sent back by the bank',
  'refunded',
  'collided with',
  'used by two customers',
  'refused in T1',
  'refused at the door',
  'closed before it was used',
  'cancelled before it was sent',
  'reaped and asked again',
  'put',
  'keyless',
  'looked at',
] as const;

export type Kind = (typeof kinds)[number];

/**
 * A run as it would be if all went well, written by hand: no line of it was made by the code under test. Each kind of
 * operation is told by all three witnesses, the way the contract wants it.
 */
export class MadeUpRun {
  readonly log: Tampered<Exchange>[] = [];
  readonly bank = { bookings: [] as Tampered<Booking>[], requests: [] as Tampered<BankRequest>[] };
  readonly database = {
    customers: [] as Tampered<CustomerRow>[],
    accounts: [] as Tampered<AccountRow>[],
    payments: [] as Tampered<PaymentRow>[],
    refunds: [] as Tampered<RefundRow>[],
    transfers: [] as Tampered<TransferRow>[],
    keys: [] as Tampered<KeyRow>[],
    history: [] as Tampered<KeyChange>[],
  };
  readonly run: {
    progress: Tampered<ProgressAsked>;
    money: Tampered<MoneyWatched>;
    resources: Tampered<ResourcesWatched>;
    coverage: Tampered<Coverage>;
  } = {
    progress: { healedAt: epochMs, endWithinMs: 15_000, mayPark: ['the bank contradicts itself'] },
    money: { reads: 100, longestGapMs: 60, violations: [] },
    resources: {
      samples: [{ at: 1, process: 'api-1', rssBytes: 100, sockets: 10, connections: 4 }],
      bounds: { api: { rssBytes: 200, sockets: 20, connections: 5 } },
      attemptsMax: 40,
      leaks: [],
    },
    coverage: { seen: {}, wanted: {}, succeededMin: 0, shareSucceededMin: 0 },
  };

  private clock = 0;
  private numbers = 0;
  private readonly happened = new Set<Kind>();
  private readonly attempts = new Map<string, number>();

  constructor(...happened: readonly Kind[]) {
    this.account('bank:GBP', 'bank');
    this.customer('alice');
    happened.forEach(kind => {
      this.happen(kind);
    });
  }

  happen(kind: Kind): void {
    const number = (this.numbers += 1);
    const name = this.happened.has(kind) ? `${nameOf(kind)}-${number}` : nameOf(kind);
    this.happened.add(kind);
    const one = new OneOperation(this, name, number);
    switch (kind) {
      case 'paid':
        one.paid();
        one.answered('pay', 200, 'first');
        {
          one.answered('pay', 200, 'replay');
          return;
        }
      case 'paid after the answer was lost':
        one.paid();
        one.lost('pay');
        {
          one.answered('pay', 200, 'replay');
          return;
        }
      case 'paid, and the driver died':
        one.paid();
        {
          one.died('pay');
          return;
        }
      case 'paid after a 503':
        one.refused('pay', 503, 'unavailable', { kind: 'unknown', headers: { 'retry-after': '1' } });
        one.paid();
        {
          one.answered('pay', 200, 'first');
          return;
        }
      case 'paid through the bank':
        one.paidThroughBank('api-1');
        {
          one.answered('pay', 200, 'first');
          return;
        }
      case 'paid through the bank by the completer':
        one.underWay('pay');
        one.refused('pay', 409, 'in_progress', {
          kind: 'unknown',
          headers: { 'retry-after': '1', 'idempotency-status': 'in_progress' },
        });
        one.paidThroughBank('worker');
        {
          one.answered('pay', 200, 'replay');
          return;
        }
      case 'declined for want of money':
        one.declined();
        one.answered('pay', 402, 'first');
        {
          one.answered('pay', 402, 'replay');
          return;
        }
      case 'declined by the bank':
        one.rail = 'bank';
        one.declined();
        {
          one.answered('pay', 402, 'first');
          return;
        }
      case 'sent back by the bank':
        one.rail = 'bank';
        one.booked('charge');
        one.booked('return');
        one.declined();
        {
          one.answered('pay', 402, 'first');
          return;
        }
      case 'refunded':
        one.paid();
        one.answered('pay', 200, 'first');
        {
          one.refunded();
          return;
        }
      case 'collided with':
        one.paid();
        one.answered('pay', 200, 'first');
        {
          one.collides();
          return;
        }
      case 'used by two customers': {
        one.paid();
        one.answered('pay', 200, 'first');
        if (!this.database.customers.some(each => each.name === 'bob')) this.customer('bob');
        const other = new OneOperation(this, name, number, 'bob');
        other.paid();
        other.answered('pay', 200, 'first');
        return;
      }
      case 'refused in T1':
        one.claimedAndTakenBack();
        {
          one.refused('pay', 422, 'unknown_payee');
          return;
        }
      case 'refused at the door': {
        one.refused('pay', 400, 'invalid_request');
        return;
      }
      case 'closed before it was used':
        one.closed();
        one.told('cancel', 200, 'cancelled');
        {
          one.refused('pay', 409, 'operation_cancelled', {
            headers: { 'idempotency-status': 'operation_cancelled' },
          });
          return;
        }
      case 'cancelled before it was sent':
        one.rail = 'bank';
        one.lost('pay');
        one.cancelled();
        one.told('cancel', 200, 'cancelled');
        {
          one.refused('pay', 409, 'operation_cancelled', {
            headers: { 'idempotency-status': 'operation_cancelled' },
          });
          return;
        }
      case 'reaped and asked again':
        one.paid();
        one.answered('pay', 200, 'first');
        one.reaped();
        {
          one.answered('pay', 200, 'replay');
          return;
        }
      case 'put':
        one.paid();
        {
          one.told('put', 200, 'completed');
          return;
        }
      case 'keyless':
        one.keyless = true;
        one.paid();
        one.answered('pay', 200, 'first');
        {
          one.answered('pay', 200, 'replay');
          return;
        }
      case 'looked at':
        one.paid();
        one.answered('pay', 200, 'first');
        one.told('look', 200, 'completed');
        {
          one.readBalance();
          return;
        }
    }
  }

  /** So that a test can name what it tampers with. */
  paymentOf(kind: Kind): Tampered<PaymentRow> {
    return present(this.database.payments.find(({ reference }) => reference === nameOf(kind)));
  }

  keyOf(kind: Kind): Tampered<KeyRow> {
    return present(this.database.keys.find(({ key }) => key === nameOf(kind)));
  }

  historyOf(kind: Kind): Tampered<KeyChange>[] {
    return this.database.history.filter(({ key }) => key === nameOf(kind));
  }

  transferOf(kind: Kind): Tampered<TransferRow> {
    const { id } = this.paymentOf(kind);
    return present(this.database.transfers.find(({ paymentId }) => paymentId === id));
  }

  exchangesOf(kind: Kind): Tampered<Exchange>[] {
    return this.log.filter(({ invoke }) => invoke.operation === nameOf(kind));
  }

  replyTo(kind: Kind, nth = 0): Tampered<Reply> {
    return present(this.exchangesOf(kind)[nth]?.reply);
  }

  nextAttempt(operation: string): number {
    const attempt = (this.attempts.get(operation) ?? 0) + 1;
    this.attempts.set(operation, attempt);
    return attempt;
  }

  tick(): number {
    return (this.clock += 1);
  }

  time(): number {
    return epochMs + this.tick();
  }

  customer(name: string): void {
    this.database.customers.push({ id: `id-of-${name}`, name });
    this.transfer({ debit: 'bank:GBP', credit: name, amount: 10_000_000_000 });
  }

  /** Opened when it is first needed. */
  account(id: string, kind: 'customer' | 'bank' = 'customer'): Tampered<AccountRow> {
    const known = this.database.accounts.find(account => account.id === id);
    if (known) return known;
    const nothing = { debitsPending: 0, debitsPosted: 0, creditsPosted: 0 };
    this.database.accounts.push({ id, kind, currency: 'GBP', ...nothing });
    return this.account(id);
  }

  /** Moves the money, too. */
  transfer(of: Pick<TransferRow, 'debit' | 'credit' | 'amount'> & Partial<TransferRow>): void {
    const { state = 'posted', paymentId = null, refundId = null } = of;
    const id = `transfer-${this.database.transfers.length}`;
    this.database.transfers.push({ id, currency: 'GBP', ...of, state, paymentId, refundId });
    if (state !== 'posted') return;
    this.account(of.debit).debitsPosted += of.amount;
    this.account(of.credit).creditsPosted += of.amount;
  }
}

/** One operation, told by the witnesses one after the other. The first of each kind bears the kind's own name. */
class OneOperation {
  rail: 'ledger' | 'bank' = 'ledger';
  keyless = false;
  private readonly operation: string;
  private readonly id: string;
  private status: 'succeeded' | 'declined' = 'succeeded';
  private isBooked = false;

  constructor(
    private readonly run: MadeUpRun,
    /** Two customers may give the same name, as the key, to operations of their own. */
    private readonly name: string,
    private readonly number: number,
    private readonly customer = 'alice',
  ) {
    this.operation = customer === 'alice' ? name : `${name}-by-${customer}`;
    this.id = `payment-${number}-${customer}`;
  }

  paid(): void {
    this.enter('succeeded');
    const [debit, credit] = [this.customer, this.rail === 'bank' ? 'bank:GBP' : 'sam'];
    this.run.transfer({ debit, credit, amount: this.amount, paymentId: this.id });
    this.finish();
  }

  paidThroughBank(finisher: string): void {
    this.rail = 'bank';
    this.booked('charge');
    this.enter('succeeded');
    this.run.transfer({ debit: this.customer, credit: 'bank:GBP', amount: this.amount, paymentId: this.id });
    this.change({ change: 'INSERT', recoveryPoint: 'started' });
    this.change({ change: 'UPDATE', recoveryPoint: 'funds_reserved' });
    const holder = finisher === 'api-1' ? {} : { epoch: 2, writer: finisher, attemptId: `${this.id} again` };
    this.change({ change: 'UPDATE', recoveryPoint: 'funds_reserved', ...holder });
    this.change({ change: 'UPDATE', recoveryPoint: 'transfer_sent', ...holder });
    this.change({ change: 'UPDATE', recoveryPoint: 'finished', answer: this.answer, ...holder });
    this.keep({ recoveryPoint: 'finished', answer: this.answer, epoch: holder.epoch ?? 1 });
  }

  declined(): void {
    this.status = 'declined';
    if (this.rail === 'bank') {
      const [debit, credit] = [this.customer, 'bank:GBP'];
      this.run.transfer({ debit, credit, amount: this.amount, paymentId: this.id, state: 'voided' });
      this.asked('PUT', 422);
    }
    this.enter('declined');
    this.finish();
  }

  refunded(): void {
    const id = `refund-${this.number}`;
    const key = `${this.key} back`.replace(' ', '-');
    const { customerId } = this;
    const amount = 1;
    const refund = { id, customerId, paymentId: this.id, idempotencyKey: key, currency: 'GBP', amount };
    this.run.database.refunds.push({ ...refund, status: 'succeeded' });
    this.run.transfer({ debit: 'sam', credit: this.customer, amount, paymentId: this.id, refundId: id });
    const answer = `200 sha-of-${id}`;
    this.change({ change: 'INSERT', recoveryPoint: 'started', key });
    this.change({ change: 'UPDATE', recoveryPoint: 'finished', answer, key });
    this.keep({ recoveryPoint: 'finished', answer, key });
    const told = { id, status: 'succeeded', amount, currency: 'GBP' };
    const params = { payment_id: this.id, amount };
    this.exchange('refund', { key, params, operation: `${this.operation}-back` }, ([exchange, at]) => ({
      ...{ kind: 'ok', exchange, at, status: 200, body: `sha-of-${id}`, told },
      headers: { ...this.headers(key), 'idempotency-status': 'completed' },
    }));
  }

  collides(): void {
    const params = { ...this.params, amount: this.amount + 1 };
    this.exchange('pay', { params }, ([exchange, at]) => ({
      ...{ kind: 'fail', exchange, at, status: 409, code: 'collision_detected', body: 'sha-of-a-collision' },
      headers: { 'should-retry': 'false', 'idempotency-status': 'collision_detected' },
      differsIn: ['amount'],
      discloses: [],
    }));
  }

  closed(): void {
    this.change({ change: 'INSERT', recoveryPoint: 'cancelled', expiresAt: Infinity });
    this.keep({ recoveryPoint: 'cancelled' });
  }

  cancelled(): void {
    this.enter('cancelled');
    const [debit, credit] = [this.customer, 'bank:GBP'];
    this.run.transfer({ debit, credit, amount: this.amount, paymentId: this.id, state: 'voided' });
    this.change({ change: 'INSERT', recoveryPoint: 'started' });
    this.change({ change: 'UPDATE', recoveryPoint: 'funds_reserved' });
    const byOther = { epoch: 2, writer: 'api-2', attemptId: `${this.id} cancelling` };
    this.change({ change: 'UPDATE', recoveryPoint: 'funds_reserved', ...byOther });
    this.change({ change: 'UPDATE', recoveryPoint: 'cancelled', ...byOther });
    this.keep({ recoveryPoint: 'cancelled', epoch: 2 });
  }

  claimedAndTakenBack(): void {
    const transaction = `transaction-${this.run.tick()}`;
    this.change({ change: 'INSERT', recoveryPoint: 'started', transaction });
    this.change({ change: 'DELETE', recoveryPoint: 'started', transaction });
  }

  reaped(): void {
    this.run.database.keys.pop();
    const at = epochMs + 2 * dayMs;
    this.change({ change: 'DELETE', recoveryPoint: 'finished', answer: this.answer, at, writer: 'worker' });
  }

  booked(kind: 'charge' | 'return'): void {
    const { id: reference, amount } = this;
    const transfer_id = `trf-${this.number}`;
    this.isBooked = true;
    this.run.bank.bookings.push({ kind, transfer_id, reference, amount, currency: 'GBP' });
    if (kind === 'charge') this.asked('PUT', 201);
  }

  answered(asked: Asked, status: 200 | 402, how: 'first' | 'replay'): void {
    const isReplay = how === 'replay';
    const replayed = { 'idempotent-replayed': 'true', 'idempotency-original-date': isoTime(epochMs) };
    this.exchange(asked, {}, ([exchange, at]) => ({
      ...{ kind: 'ok', exchange, at, status, body: `sha-of-${this.id}`, told: this.toldStatus },
      ...(status === 402 && { code: this.rail === 'bank' ? 'declined_by_bank' : 'insufficient_funds' }),
      headers: {
        ...this.headers(this.key),
        'idempotency-status': isReplay ? 'already_completed' : 'completed',
        ...(isReplay && replayed),
        ...(status === 402 && { 'should-retry': 'false' }),
      },
    }));
  }

  /** What an operation says of itself, the stored answer inside. */
  told(asked: 'cancel' | 'look' | 'put', status: number, state: string): void {
    const inside = { status: 200, body: `sha-of-${this.id}`, told: this.toldStatus };
    this.exchange(asked, {}, ([exchange, at]) => ({
      ...{ kind: 'ok', exchange, at, status, body: `sha-of-operation-${this.run.tick()}`, state },
      headers: asked === 'put' ? { ...this.headers(this.key), 'idempotency-status': 'completed' } : {},
      ...(state === 'completed' && { inside }),
    }));
  }

  underWay(asked: Asked): void {
    const told = { ...this.toldStatus, status: 'pending' };
    this.rail = 'bank';
    this.exchange(asked, {}, ([exchange, at]) => ({
      ...{ kind: 'unknown', exchange, at, status: 202, body: 'sha-of-pending', told },
      headers: { ...this.headers(this.key), 'idempotency-status': 'in_progress', 'retry-after': '1' },
    }));
  }

  refused(asked: Asked, status: number, code: string, more: Partial<Reply> = {}): void {
    const shouldRetry = String(status === 503 || code === 'in_progress');
    this.exchange(asked, {}, ([exchange, at]) => ({
      ...{ kind: 'fail', exchange, at, status, code, body: `sha-of-${code}` },
      ...more,
      headers: { 'should-retry': shouldRetry, ...more.headers },
    }));
  }

  lost(asked: Asked): void {
    this.exchange(asked, {}, ([exchange, at]) => ({
      ...{ kind: 'unknown', exchange, at, status: null, why: 'ECONNRESET', headers: {}, body: null },
    }));
  }

  /** And somebody else finds out. */
  died(asked: Asked): void {
    this.exchange(asked, {}, () => null);
    this.answered(asked, 200, 'replay');
  }

  readBalance(): void {
    const balances = [{ id: this.customer, posted: 3, pending: 1, available: 2 }];
    this.exchange(
      'accounts',
      { key: null, params: null, operation: `${this.operation}-balance` },
      ([exchange, at]) => ({
        ...{ kind: 'ok', exchange, at, status: 200, headers: {}, body: 'sha-of-accounts', balances },
      }),
    );
  }

  private get key(): string {
    return this.keyless ? `fp_${this.name}` : this.name;
  }

  private get customerId(): string {
    return `id-of-${this.customer}`;
  }

  private get amount(): number {
    return 100 + this.number;
  }

  private get answer(): string {
    return `${this.status === 'declined' ? 402 : 200} sha-of-${this.id}`;
  }

  private get toldStatus(): Told {
    return { id: this.id, status: this.status, amount: this.amount, currency: 'GBP' };
  }

  private get params(): PaymentAsked {
    const { amount, customer: from, operation: reference, rail } = this;
    return { to: 'sam', amount, currency: 'GBP', from, rail, reference };
  }

  private headers(key: string) {
    return { 'idempotency-key': key, 'idempotency-expires': isoTime(epochMs + dayMs) };
  }

  private enter(status: PaymentRow['status']): void {
    const { customerId, id } = this;
    const idempotencyKey = this.keyless ? `${this.key}_${epochMs}` : this.key;
    const bankTransferId = this.isBooked ? `trf-${this.number}` : null;
    this.run.database.payments.push({
      id,
      customerId,
      idempotencyKey,
      ...this.params,
      status,
      bankTransferId,
    });
  }

  private finish(): void {
    this.change({ change: 'INSERT', recoveryPoint: 'started' });
    this.change({ change: 'UPDATE', recoveryPoint: 'finished', answer: this.answer });
    this.keep({ recoveryPoint: 'finished', answer: this.answer });
  }

  private change(of: Pick<KeyChange, 'change' | 'recoveryPoint'> & Partial<KeyChange>): void {
    const fresh = { epoch: 1, attemptId: this.id, parkedBecause: null, answer: null, writer: 'api-1' };
    const at = this.run.time();
    this.run.database.history.push({
      ...{ at, transaction: `transaction-${at}`, customerId: this.customerId, key: this.key },
      ...{ ...fresh, expiresAt: epochMs + dayMs, ...of },
    });
  }

  private keep(of: Pick<KeyRow, 'recoveryPoint'> & Partial<KeyRow>): void {
    const fresh = { epoch: 1, attempts: 1, parkedBecause: null, answer: null };
    this.run.database.keys.push({ customerId: this.customerId, key: this.key, ...fresh, ...of });
  }

  private asked(method: 'PUT' | 'GET', status: number): void {
    this.run.bank.requests.push({ method, reference: this.id, status });
  }

  private exchange(
    asked: Asked,
    other: { key?: string | null; params?: PaymentAsked | RefundAsked | null; operation?: string },
    reply: (about: [exchange: string, at: number]) => Reply | null,
  ): void {
    const names = asked === 'cancel' || asked === 'look';
    const { operation = this.operation, params = names ? null : this.params } = other;
    const exchange = `driver:${this.run.log.length}`;
    const attempt = this.run.nextAttempt(operation);
    const { key = this.keyless ? null : this.key } = other;
    const request = params && hashed(params);
    const at = this.run.tick();
    this.run.log.push({
      invoke: {
        kind: 'invoke',
        exchange,
        operation,
        attempt,
        customer: this.customer,
        key,
        asked,
        request,
        params,
        at,
      },
      reply: reply([exchange, this.run.tick()]) as Tampered<Reply> | null,
    });
  }
}

/** As the log is documented, written down once more. */
function hashed(params: PaymentAsked | RefundAsked): string {
  const values =
    'payment_id' in params
      ? ['refund', params.payment_id, params.amount]
      : ['payment', params.to, params.amount, params.currency, params.from, params.rail, params.reference];
  return createHash('sha256').update(JSON.stringify(values)).digest('hex');
}

function nameOf(kind: Kind): string {
  return kind.replaceAll(/\W+/g, '-');
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

export function present<T>(value: T | null | undefined): T {
  if (value == null) throw new Error('the test looks for something that is not there');
  return value;
}
