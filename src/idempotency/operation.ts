import type { EntityManager } from 'typeorm';

/**
 * What the engine is told about an operation. It knows nothing of money and nothing of HTTP: it knows that
 * something must happen once, phase by phase, and that whoever asks again is told what happened.
 */
export interface Operation<P extends Params = Params, B extends Books = Books> {
  readonly name: string;
  /** The accounts an attempt needs open before its atomic phase may decide. */
  accounts(params: P): readonly string[];
  /** What happens after each recovery point. The last one leads to `finished`. */
  readonly phases: Partial<Record<UnfinishedPoint, Phase<P, B>>> & { started: AtomicPhase<P, B> };
  /** What outlives the key's own row, once that is reaped. */
  readonly memory: Memory<P>;
}

/** An operation never forgets its key: a unique constraint refuses a second effect, and the answer is rebuilt. */
export interface Memory<P extends Params> {
  readonly constraint: string;
  /** @returns what was done under the key of `owner`; `null`: nothing */
  recall(tx: EntityManager, owner: Owner): Promise<Recalled<P> | null>;
}

/** Facts, in the past tense, in the order in which they come true. A CHECK in the database lists them too. */
export type RecoveryPoint = UnfinishedPoint | 'finished';
export type UnfinishedPoint = 'started' | 'funds_reserved' | 'transfer_sent';

/**
 * Two kinds of phase, and the types keep them apart. An atomic phase gets the books and no way out of this
 * process; a call gets the way out and no transaction. So none can be open while another company is asked.
 */
export type Phase<P extends Params, B extends Books> = AtomicPhase<P, B> | Call<P>;

export interface AtomicPhase<P extends Params, B extends Books> {
  readonly kind: 'atomic';
  /** Decides one attempt over the locked books: plain and synchronous, no I/O, no awaiting. */
  decide(books: B, claim: Claim<P>): Decision;
}

export interface Call<P extends Params> {
  readonly kind: 'call';
  /** Repeated with the same reference after a crash, so the other side must recognise it. */
  call(claim: Claim<P>): Promise<void>;
}

/** The validated parameters, as JSON: what is fingerprinted, stored and compared. */
export type Params = Readonly<Record<string, string | number | null>>;

/** Whatever the atomic phases of one transaction decide over. */
export type Books = object;

/** Opens and closes the books for a batch. The transaction is a parameter; a rollback forgets all of it. */
export interface Bookkeeping<B extends Books> {
  open(tx: EntityManager, accountIds: readonly string[]): Promise<B>;
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
}

/** An attempt that owns its key. `at` is the transaction's time, by the database's clock. */
export interface Claim<P extends Params = Params> {
  readonly attempt: Attempt<P>;
  readonly at: Date;
  readonly expiresAt: Date;
}

/** A definitive answer: only these are stored, and they are replayed byte for byte. */
export interface Answer {
  readonly status: 200 | 402;
  readonly body: string;
}

/** What a phase decides. A refusal takes the claim back: nothing is stored, and the key stays free. */
export type Decision =
  | { readonly kind: 'finish'; readonly answer: Answer }
  | { readonly kind: 'refuse'; readonly refusal: Refusal };

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
  | { readonly kind: 'refused'; readonly refusal: Refusal };
