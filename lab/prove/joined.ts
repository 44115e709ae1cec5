import type { Booking } from './bank-witness.js';
import type { KeyChange, KeyRow, PaymentRow, RefundRow, TransferRow } from './database-witness.js';
import type { Exchange, StoredAnswer, Told } from './driver-log.js';
import type { Witnesses } from './witnesses.js';

/** Whose key: the customer's name and the key. No key holds a blank, so no two owners are written alike. */
export type Owner = string;

/** A payment or a refund: what one key may have one of. */
export type Effect =
  ({ readonly is: 'payment' } & PaymentRow) | ({ readonly is: 'refund' } & RefundRow & { rail: null });

/** What the bank's books say about one reference. */
export interface AtTheBank {
  readonly bookings: readonly Booking[];
  readonly charges: readonly Booking[];
  /** Charges less returns: how many. */
  readonly net: number;
}

const nothingAtTheBank: AtTheBank = { bookings: [], charges: [], net: 0 };

/**
 * The witnesses, sorted so that each question about one key or one payment is a look into a map. Made once, in one
 * pass over each list: checkers stay linear, and a run of 300,000 operations is judged in seconds.
 */
export class Joined {
  readonly exchanges = new Map<Owner, Exchange[]>();
  readonly effects = new Map<Owner, Effect[]>();
  readonly effectById = new Map<string, Effect>();
  readonly keys = new Map<Owner, KeyRow>();
  readonly history = new Map<Owner, KeyChange[]>();
  readonly transfers = new Map<string, TransferRow[]>();
  private readonly bookings = new Map<string, AtTheBank>();
  private readonly names: ReadonlyMap<string, string>;
  /** A customer without keys learns the key from an answer; attempts that got none belong to it as well. */
  private readonly keysTold = new Map<string, string>();

  constructor({ log, bank, database }: Witnesses) {
    this.names = new Map(database.customers.map(({ id, name }) => [id, name]));
    for (const { invoke, reply } of log) {
      const told = reply?.headers['idempotency-key'];
      if (invoke.key === null && told !== undefined) this.keysTold.set(invoke.operation, told);
    }
    for (const exchange of log) {
      const owner = this.ownerOf(exchange);
      if (owner !== null) into(this.exchanges, owner, exchange);
    }
    const effects: Effect[] = [
      ...database.payments.map(row => ({ is: 'payment' as const, ...row })),
      ...database.refunds.map(row => ({ is: 'refund' as const, rail: null, ...row })),
    ];
    for (const effect of effects) {
      into(this.effects, this.ownerOfEffect(effect), effect);
      this.effectById.set(effect.id, effect);
    }
    for (const row of database.keys) this.keys.set(this.owner(row.customerId, row.key), row);
    for (const row of database.history) into(this.history, this.owner(row.customerId, row.key), row);
    for (const transfer of database.transfers) {
      const id = transfer.refundId ?? transfer.paymentId;
      if (id !== null) into(this.transfers, id, transfer);
    }
    for (const booking of bank.bookings) this.book(booking);
  }

  atTheBank(reference: string): AtTheBank {
    return this.bookings.get(reference) ?? nothingAtTheBank;
  }

  references(): IterableIterator<[string, AtTheBank]> {
    return this.bookings.entries();
  }

  /** `null`: the exchange was about no key, or about one that nobody ever learned. */
  ownerOf({ invoke }: Exchange): Owner | null {
    const key = invoke.key ?? this.keysTold.get(invoke.operation) ?? null;
    return key === null ? null : `${invoke.customer} ${key}`;
  }

  ownerOfEffect({ customerId, idempotencyKey }: Pick<PaymentRow, 'customerId' | 'idempotencyKey'>): Owner {
    return this.owner(customerId, withoutWindow(idempotencyKey));
  }

  owner(customerId: string, key: string): Owner {
    return `${this.names.get(customerId) ?? customerId} ${key}`;
  }

  private book(booking: Booking): void {
    const { bookings, charges, net } = this.atTheBank(booking.reference);
    const isCharge = booking.kind === 'charge';
    this.bookings.set(booking.reference, {
      bookings: [...bookings, booking],
      charges: isCharge ? [...charges, booking] : charges,
      net: net + (isCharge ? 1 : -1),
    });
  }
}

const made = new WeakMap<Witnesses, Joined>();

/** All checkers of one run share it. Witnesses do not change. */
export function join(witnesses: Witnesses): Joined {
  let joined = made.get(witnesses);
  if (!joined) made.set(witnesses, (joined = new Joined(witnesses)));
  return joined;
}

/** A definitive answer that somebody saw: his own, or one shown inside an operation. */
export interface Seen {
  readonly status: number;
  readonly body: string;
  readonly told: Told | undefined;
}

/** Every 200 and 402 that this exchange showed its caller for the key it was about. */
export function definitiveAnswers({ invoke, reply }: Exchange): Seen[] {
  if (!reply) return [];
  const { asked } = invoke;
  if (reply.inside) return [seen(reply.inside)];
  if ((asked === 'pay' || asked === 'refund') && reply.kind === 'ok' && reply.status !== null) {
    return [{ status: reply.status, body: reply.body ?? '', told: reply.told }];
  }
  return [];
}

function seen({ status, body, told }: StoredAnswer): Seen {
  return { status, body, told };
}

/** Whether the exchange could have changed something. */
export function mayChange({ invoke: { asked } }: Exchange): boolean {
  return asked !== 'look' && asked !== 'accounts';
}

/** A payment remembers a fingerprint together with the moment at which its window opened, in milliseconds. */
function withoutWindow(remembered: string): string {
  return remembered.startsWith('fp_') ? remembered.replace(/_\d{13}$/, '') : remembered;
}

function into<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const values = map.get(key);
  if (values) values.push(value);
  else map.set(key, [value]);
}
