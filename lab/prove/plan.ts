import type { PaymentAsked } from './driver-log.js';
import { Random } from './random.js';

/** Who pays. `isKeyless`: it cannot send keys, and is known by what it asks for. */
export interface Caller {
  /** Also the id of its only account. */
  readonly name: string;
  readonly apiKey: string;
  readonly isKeyless?: boolean;
}

/** One intended payment, and all that its caller does about it, on purpose or by mistake. */
export interface Plan {
  /** Also the payment's reference, so that what was meant once can be counted where it was paid. */
  readonly operation: string;
  readonly caller: Caller;
  readonly key: string | null;
  readonly params: PaymentAsked;
  readonly isPut: boolean;
  readonly prefer: string | undefined;
  /** Equal requests that are sent together with the first one. */
  readonly together: number;
  /** Equal requests after the end: replays. */
  readonly repeats: number;
  /** How long it is waited before them: now and then so long that the stored answer has expired. */
  readonly repeatsAfterMs: number;
  /** Another request under the same key, during the first one or after it. */
  readonly collision: { readonly params: PaymentAsked; readonly when: 'together' | 'after' } | undefined;
  /** Another customer who uses, or looks at, the same key. */
  readonly stranger: { readonly caller: Caller; readonly does: 'pay' | 'look' } | undefined;
  readonly cancel: 'before' | 'together' | 'after' | undefined;
  /** Minor units to give back, perhaps more than was paid. */
  readonly refund: number | undefined;
  readonly looks: boolean;
  readonly readsBalance: boolean;
}

/** Longer than answers are kept in a run, and than it takes the reaper to come by. */
const lateMs = 2_500;

/** Every payee that chooses an outcome at the bank. On rail ledger they are ordinary accounts. */
const payees = ['sam', 'sam', 'sam', 'sam', 'dee', 'tim', 'nia', 'flo', 'rex'] as const;

/**
 * What the `nth` operation of a driver is. The same seed plans the same, whatever the answers are and in whatever order
 * they come: only what depends on an answer (a refund needs a payment) may be left out.
 */
export function planOperation(
  { seed, driver, callers }: { seed: number; driver: string; callers: readonly Caller[] },
  nth: number,
): Plan {
  const random = Random.of(seed, driver, nth);
  const operation = `${driver}-${nth}`;
  const caller = random.oneOf(callers);
  const isKeyless = caller.isKeyless === true;
  const rail = random.chance(0.45) ? 'bank' : 'ledger';
  const isRefused = random.chance(0.03);
  const params: PaymentAsked = {
    // Whom the other bank can pay, only the other bank knows.
    to: isRefused && rail === 'ledger' ? 'nobody' : random.one(payees),
    // Four digits, so that a collision that repeats one can be told from a status or a length.
    amount: isRefused && rail === 'bank' ? 100_000_001 : random.between(1_000, 9_999),
    currency: 'GBP',
    from: caller.name,
    rail,
    reference: operation,
  };
  const others = callers.filter(other => other !== caller && other.isKeyless !== true);
  const isPut = !isKeyless && random.chance(0.08);
  const collidesWith = random.one<Partial<PaymentAsked>>([
    { amount: params.amount + 1 },
    { reference: `${operation}-other` },
    { to: params.to === 'sam' ? 'flo' : 'sam', amount: params.amount + 1 },
  ]);
  return {
    operation,
    caller,
    key: isKeyless ? null : `key-${operation}-${random.between(0, 999_999)}`,
    params,
    isPut,
    prefer: random.one([undefined, undefined, undefined, 'respond-async', 'wait=1', 'wait=5']),
    together: random.one([0, 0, 0, 0, 1, 3]),
    repeats: random.one([0, 0, 1, 2]),
    repeatsAfterMs: random.chance(0.06) ? lateMs : 0,
    collision:
      !isKeyless && random.chance(0.08)
        ? { params: { ...params, ...collidesWith }, when: random.one(['together', 'after']) }
        : undefined,
    stranger:
      !isKeyless && others.length > 0 && random.chance(0.06)
        ? { caller: random.oneOf(others), does: random.one(['pay', 'look']) }
        : undefined,
    cancel: !isKeyless && random.chance(0.05) ? random.one(['before', 'together', 'after']) : undefined,
    refund: random.chance(0.12) ? random.between(1, params.amount + 500) : undefined,
    looks: !isKeyless && random.chance(0.1),
    readsBalance: random.chance(0.03),
  };
}

/** The same payment, by the same caller under the same key, and nothing that is done beside it. */
export function justThePayment(plan: Plan): Plan {
  return {
    ...plan,
    isPut: false,
    together: 0,
    repeats: 0,
    repeatsAfterMs: 0,
    collision: undefined,
    stranger: undefined,
    cancel: undefined,
    refund: undefined,
    looks: false,
    readsBalance: false,
  };
}

/** One request, spelled one of the ways that mean the same. */
export function spell(params: PaymentAsked, random: Random): string {
  const { from, rail, ...rest } = params;
  const members = Object.entries({
    ...rest,
    ...((rail !== 'ledger' || random.chance(0.5)) && { rail }),
    ...(random.chance(0.5) && { from }),
    ...(random.chance(0.3) && { client_timestamp: new Date().toISOString() }),
  });
  if (random.chance(0.5)) members.reverse();
  const text = JSON.stringify(Object.fromEntries(members), null, random.chance(0.2) ? 2 : undefined);
  return random.chance(0.2) ? text.replace(/("amount": ?\d+)/, '$1.0') : text;
}
