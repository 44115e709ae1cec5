import type { EntityManager } from 'typeorm';

/**
 * What the engine is told about an operation. It knows nothing of money and nothing of HTTP: it knows that
 * something must happen once, phase by phase, and that whoever asks again is told what happened.
 *
 * `B` are the books that atomic phases decide over, `O` is what calls may reach outside this process.
 */
export interface Operation<P extends Params = Params, B extends Books = Books, O extends Outside = Outside> {
  readonly name: string;
  /** What must be open in the books before an atomic phase may decide. */
  needs(attempt: Attempt<P>, state: State): Needs;
  /** Whether a phase will call another company: such an operation may still be running when its caller leaves. */
  reachesOut(params: P): boolean;
  /** What happens after each recovery point. The last one leads to `finished`. */
  readonly phases: Partial<Record<UnfinishedPoint, Phase<P, B, O>>> & { started: AtomicPhase<P, B> };
  /** Undoes what was reserved. Asked only while it is certain that no call was ever made. */
  cancel?(books: B, claim: Claim<P>): Decision;
  /** What outlives the key's own row, once that is reaped. */
  readonly memory: Memory<P>;
}

/** An operation never forgets its key: a unique constraint refuses a second effect, and the answer is rebuilt. */
export interface Memory<P extends Params> {
  readonly constraint: string;
  /** @returns what was done under each key, in the order of `owners`, once that is final; `undefined`: nothing */
  recall(tx: EntityManager, owners: readonly Owner[]): Promise<(Recalled<P> | undefined)[]>;
  /** @returns what can be shown of an operation that has not ended, as JSON; `null`: it has ended */
  interim?(tx: EntityManager, customerId: string, state: State): Promise<string | null>;
}

/** Facts, in the past tense, in the order in which they come true. A CHECK in the database lists them too. */
export type RecoveryPoint = UnfinishedPoint | 'finished' | 'cancelled';
export type UnfinishedPoint = 'started' | 'funds_reserved' | 'transfer_sent';

/**
 * Two kinds of phase, and the types keep them apart. An atomic phase gets the books and no way out of this
 * process; a call gets the way out and no transaction. So none can be open while another company is asked.
 */
export type Phase<P extends Params, B extends Books, O extends Outside> =
  AtomicPhase<P, B> | CallPhase<P, B, O>;

export interface AtomicPhase<P extends Params, B extends Books> {
  readonly kind: 'atomic';
  /** Decides one attempt over the locked books: plain and synchronous, no I/O, no awaiting. */
  decide(books: B, claim: Claim<P>): Decision;
}

export interface CallPhase<P extends Params, B extends Books, O extends Outside, Result = unknown> {
  readonly kind: 'call';
  /**
   * Asks the other side. Repeated after a crash, so the other side must recognise the reference it is given.
   * It returns also when nothing is known: what it throws is a mistake in our code. `signal`: time to stop.
   */
  call(outside: O, held: Held<P>, signal: AbortSignal): Promise<Result>;
  /** The atomic phase that follows, and records what came of it. A crash in between repeats the call. */
  record(books: B, claim: Claim<P>, result: Result): Decision;
}

/** The validated parameters, as JSON: what is fingerprinted, stored and compared. */
export type Params = Readonly<Record<string, string | number | null>>;

/** What an operation remembers from one phase to the next. Ids are chosen once, and then they are here. */
export type State = Readonly<Record<string, string>>;

/** Whatever the atomic phases of one transaction decide over, and how they say what it must hold. */
export type Books = object;
export type Needs = object;

/** Whatever the calls reach. */
export type Outside = object;

/** Opens and closes the books for a batch. The transaction is a parameter; a rollback forgets all of it. */
export interface Bookkeeping<B extends Books> {
  open(tx: EntityManager, needs: readonly Needs[]): Promise<B>;
  close(tx: EntityManager, books: B): Promise<void>;
}

/** Whose key. A key means nothing without its customer. */
export interface Owner {
  readonly customerId: string;
  readonly key: string;
}

/** One try to carry out an operation. Its id tells its own row from somebody else's after a lost COMMIT. */
export interface Attempt<P extends Params = Params> extends Owner {
  readonly id: string;
  readonly operation: Operation<P>;
  readonly params: P;
  readonly fingerprint: Buffer;
  /** Where the key is a fingerprint: how long it stays taken. A caller's own key does for ever: `null`. */
  readonly windowMs: number | null;
}

/**
 * A key that is ours between two transactions, for as long as nobody has taken it over: whoever does raises the
 * epoch, and what we then write touches nothing.
 */
export interface Held<P extends Params = Params> {
  readonly attempt: Attempt<P>;
  readonly point: UnfinishedPoint;
  readonly state: State;
  readonly epoch: number;
  /** How often it has been taken up, this time included. */
  readonly attempts: number;
  /** Whether an earlier holder may have called already. `false` is certain, `true` is not. */
  readonly mayBeSent: boolean;
  /** How old the operation was when it was taken up: milliseconds by the database's clock. */
  readonly ageMs: number;
}

/** An attempt that owns its key in a transaction. `at` is the transaction's time, by the database's clock. */
export interface Claim<P extends Params = Params> {
  readonly attempt: Attempt<P>;
  /** What an effect that begins here remembers for ever. The same however often the attempt is tried. */
  readonly keyToRemember: string;
  readonly state: State;
  readonly at: Date;
  readonly expiresAt: Date;
}

/** A definitive answer: only these are stored, and they are replayed byte for byte. */
export interface Answer {
  readonly status: 200 | 402;
  readonly body: string;
}

/**
 * What a phase decides.
 *
 * - `finish`: this is the answer, for ever;
 * - `refuse`: nothing is stored, and the key stays free. Only before anything was reserved;
 * - `advance`: the next recovery point is reached, `state` goes with it;
 * - `postpone`: nothing is known to have changed, somebody tries again later. `not_sent`: certainly no request of
 *   this call left the house. `not_yet`: the other side is at work on it. `unknown`: anything may have happened;
 *   only these attempts are counted, and too many of them park the operation;
 * - `park`: a person has to look, because going on would be guessing;
 * - `cancel`: what was reserved is undone, the key is closed.
 */
export type Decision =
  | { readonly kind: 'finish'; readonly answer: Answer }
  | { readonly kind: 'refuse'; readonly refusal: Refusal }
  | { readonly kind: 'advance'; readonly to: UnfinishedPoint; readonly state: State }
  | {
      readonly kind: 'postpone';
      readonly because: 'not_sent' | 'not_yet' | 'unknown';
      readonly reason: string;
    }
  | { readonly kind: 'park'; readonly reason: string }
  | { readonly kind: 'cancel' };

export interface Refusal {
  readonly code: string;
  readonly detail: string;
}

/** An answer put together again from what the operation left behind. */
export interface Recalled<P extends Params = Params> {
  readonly params: P;
  readonly answer: Answer;
  readonly finishedAt: Date;
}

/** How an attempt ends, as far as its caller is concerned. Errors are thrown; these are the expected ends. */
export type Outcome =
  | { readonly kind: 'completed'; readonly answer: Answer; readonly expiresAt: Date }
  | {
      readonly kind: 'replayed';
      readonly answer: Answer;
      readonly finishedAt: Date;
      readonly expiresAt: Date;
    }
  | { readonly kind: 'collision'; readonly differsIn: readonly string[]; readonly expiresAt: Date }
  | { readonly kind: 'in_progress'; readonly retryAfterSeconds: number; readonly expiresAt: Date }
  /** It is ours and goes on; the caller's wait is over. `body`: what can be shown meanwhile. */
  | {
      readonly kind: 'pending';
      readonly body: string;
      readonly retryAfterSeconds: number;
      readonly expiresAt: Date;
    }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'refused'; readonly refusal: Refusal };
