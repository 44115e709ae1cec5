import { hash } from 'node:crypto';
import type { Fate, ModelBank } from './bank.js';
import { customerId, type Errand } from './life.js';
import type { Past, Pasts } from './past.js';
import type { Forgotten, Row, Store } from './store.js';

/** Everything there is, at one moment. A value: what happens next yields another one. */
export interface World {
  readonly store: Store;
  readonly bank: ModelBank;
  readonly lives: readonly Past[];
  /** What callers were told, by key: definitive answers, and what else counts. */
  readonly heard: Readonly<Record<string, readonly string[]>>;
  /** How many of each kind have begun, for their names. */
  readonly begun: Readonly<Record<Errand['does'], number>>;
  /** What may still happen. */
  readonly left: Allowance;
  /** Set by what must never happen. */
  readonly broken: string | null;
}

/** How much of each may happen in one run. It bounds the search; none of it has to happen. */
export interface Allowance {
  readonly pay: number;
  readonly sweep: number;
  readonly cancel: number;
  readonly reap: number;
  /** Lives at once. */
  readonly atOnce: number;
  readonly crash: number;
  /** Callers whose patience ends before their payment does. */
  readonly impatient: number;
  /** A connection to the database lost, before or after the COMMIT. */
  readonly cut: number;
  /** A request to the bank that comes to no good end. */
  readonly bankFault: number;
  readonly leaseEnds: number;
  readonly answersExpire: number;
  readonly bankForgets: number;
}

export interface Rules {
  readonly keys: readonly string[];
  readonly pasts: Pasts;
  /** Whether one life does one thing at a time. It makes a small world out of a large one. */
  readonly isOrderly: boolean;
  readonly forgotten?: Forgotten | undefined;
}

/** An account with nothing on it but what is said. */
function accountOf(id: string, more: Partial<Row> & { kind: 'bank' | 'customer' }): Row {
  const balance = { debits_pending: '0', debits_posted: '0', credits_posted: '0' };
  return { id, customer_id: null, currency: 'GBP', ...balance, ...more } as object as Row;
}

export function beginning(left: Allowance, fate: Fate): World {
  return {
    store: {
      now: Date.UTC(2026, 0, 1),
      rows: {
        'account:alice': accountOf('alice', {
          kind: 'customer',
          customer_id: customerId,
          credits_posted: '1000',
        }),
        'account:bank:GBP': accountOf('bank:GBP', { kind: 'bank' }),
      },
      open: {},
    },
    bank: { transfers: [], late: [], fate },
    lives: [],
    heard: {},
    begun: { pay: 0, sweep: 0, cancel: 0, reap: 0 },
    left,
    broken: null,
  };
}

/** One string for everything that makes a difference to what can happen next. Lives have no order. */
export function identityOf(
  { store, bank, lives, heard, begun, left, broken }: World,
  isWithAllowance = true,
): string {
  const all = [
    store.now,
    ...Object.entries(store.rows).sort(byName).map(inText),
    ...Object.entries(store.open).sort(byName).map(inText),
    textOf(bank),
    ...lives.map(({ id }) => id).sort(),
    textOf(heard),
    isWithAllowance ? textOf(begun) + textOf(left) : '',
    broken,
  ];
  return hash('sha1', all.join('\n'), 'base64');
}

/** Most parts of a world are those of the one before it: their text is made once. */
const texts = new WeakMap<object, string>();

function textOf(part: object): string {
  const known = texts.get(part);
  if (known !== undefined) return known;
  const text = JSON.stringify(part);
  texts.set(part, text);
  return text;
}

function inText([name, part]: [string, object]): string {
  return name + textOf(part);
}

function byName([one]: [string, unknown], [other]: [string, unknown]): number {
  return one < other ? -1 : 1;
}
