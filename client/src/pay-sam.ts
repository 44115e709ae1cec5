import { isObject, objectOf, type Read } from './answer.js';
import { call, type Means } from './call.js';
import type { Entry } from './journal/journal.js';
import { checkedKey, newKey } from './key.js';
import { List, type Page } from './list.js';
import { limitsOf, readOptions, type CallOptions, type PaySamOptions } from './options.js';
import type { RetryLimits } from './policy/retry-policy.js';
import { cancellation, intention, question, type ApiRequest } from './request.js';
import { resumeAll, type ResumeOptions, type Resumption } from './resume.js';
import { senderOf } from './sender.js';
import type {
  Account,
  Cancellation,
  Operation,
  Payment,
  PaymentParams,
  Refund,
  RefundParams,
  Result,
  Transfer,
} from './types.js';
import { waitUntilSettled } from './wait.js';

/** Of a call that moves money. */
export interface IntentOptions extends CallOptions {
  /**
   * One key per intended payment, the same whenever it is sent again. Left out, one is made: then this call retries
   * safely, and the journal remembers the key. Whoever has a place of their own for it (an order's row, say) writes a
   * key there first, and gives it here.
   */
  readonly idempotencyKey?: string | undefined;
  /** How long the server may wait for the result before it answers `pending`: whole seconds, 0 to 30. */
  readonly waitSeconds?: number | undefined;
}

export interface ListOptions extends CallOptions {
  /** How many to ask for at a time, 1 to 100. */
  readonly limit?: number | undefined;
  /** The `next` of an earlier page. */
  readonly after?: string | undefined;
}

/**
 * Pays Sam once, however often it has to ask. Start reading here; call.ts goes on, with what happens in one call.
 *
 * Every call resolves to a `Result` or rejects with a `PaySamError`, and both tell its course. Only a mistake in the
 * arguments (an amount that is no whole number, a key that is none) is a `TypeError`: no call was begun.
 */
export class PaySam {
  // Private to the language: a log that prints this object does not print the API key.
  readonly #means: Means;
  readonly #limits: RetryLimits;
  #sender: Promise<string> | undefined;

  /** @throws TypeError */
  constructor(options: PaySamOptions) {
    const { means, limits } = readOptions(options);
    this.#means = means;
    this.#limits = limits;
  }

  readonly payments = {
    /**
     * Pays. The payment in the result has succeeded; or its status is `pending`, and it is on its way through a bank:
     * `operations.wait` tells how it ends.
     */
    create: (params: PaymentParams, options: IntentOptions = {}): Promise<Result<Payment>> =>
      this.#intend<Payment>({ operation: 'payment', path: '/payments', params }, options),

    get: async (id: string, options: CallOptions = {}): Promise<Result<Payment>> =>
      this.#ask(question(`/payments/${segment(id)}`, objectOf<Payment>('payment')), options),

    /** The caller's own, newest first. */
    list: (options: ListOptions = {}): List<Payment> => this.#list<Payment>('/payments', options),
  };

  readonly refunds = {
    /** Gives a part of a payment back, or all of it. Two refunds of one payment are two intentions: a key each. */
    create: async (
      paymentId: string,
      params: RefundParams,
      options: IntentOptions = {},
    ): Promise<Result<Refund>> => {
      const path = `/payments/${segment(paymentId)}/refunds`;
      return this.#intend<Refund>({ operation: 'refund', path, params }, options);
    },
  };

  readonly operations = {
    /** What the server knows of a key. `Refused` with `not_found` says: it has never seen it, up to now. */
    get: async (key: string, options: CallOptions = {}): Promise<Result<Operation>> => {
      const path = `/operations/${encodeURIComponent(checkedKey(key))}`;
      const read = objectOf<Operation>('operation', { key });
      const result = await this.#ask(question(path, read, key), options);
      const { state } = result.data;
      if (state === 'completed' || state === 'cancelled') await this.#forget(key);
      return result;
    },

    /** Asks until the operation is completed or cancelled, or `deadlineMs` are over. */
    wait: async (key: string, options: CallOptions = {}): Promise<Result<Operation>> => {
      const { signal } = options;
      const { deadlineMs } = limitsOf(this.#limits, options);
      const ask = (bounds: CallOptions) => this.operations.get(key, bounds);
      return waitUntilSettled(key, { signal, deadlineMs }, { clock: this.#means.clock, ask });
    },

    /** Ends the doubt, for a caller who does not know whether its request arrived, and no longer wants it to. */
    cancel: async (key: string, options: CallOptions = {}): Promise<Result<Cancellation>> => {
      const result = await this.#ask(cancellation(checkedKey(key), cancellationOf(key)), options);
      await this.#forget(key);
      return result;
    },
  };

  readonly accounts = {
    get: async (id: string, options: CallOptions = {}): Promise<Result<Account>> =>
      this.#ask(question(`/accounts/${segment(id)}`, objectOf<Account>('account', { id })), options),

    list: (options: CallOptions = {}): List<Account> => this.#list<Account>('/accounts', options),

    /** What moved on one account, newest first. */
    transfers: (id: string, options: ListOptions = {}): List<Transfer> =>
      this.#list<Transfer>(`/accounts/${segment(id)}/transfers`, options),
  };

  /**
   * Sends again whatever the journal holds: call it when the process starts, and now and then. Entries that stay
   * unknown stay in the journal.
   *
   * @throws TypeError without a journal, and what the journal throws when it cannot be read
   */
  async resume(options: ResumeOptions = {}): Promise<Resumption> {
    const { journal } = this.#means;
    if (!journal) throw new TypeError('There is no journal to resume from.');
    const { signal, concurrency = 4 } = options;
    wholeNumber('concurrency', concurrency, { min: 1, max: 1_000 });
    const limits = limitsOf(this.#limits, options);
    return resumeAll(journal, await this.#senderOf(), {
      concurrency,
      send: entry =>
        call(intention<Payment | Refund>(entry), { limits, signal, isResumed: true }, this.#means),
    });
  }

  /** The request is put together before anything is waited for: what the caller does to `params` then is no matter. */
  async #intend<T>(
    { operation, path, params }: Pick<Entry, 'operation' | 'path'> & { params: { amount: number } },
    { idempotencyKey, waitSeconds, signal, deadlineMs }: IntentOptions,
  ): Promise<Result<T>> {
    if (!Number.isSafeInteger(params.amount)) {
      throw new TypeError(
        'amount: a whole number of minor units (10000 GBP is £100.00). Nothing is rounded here.',
      );
    }
    if (waitSeconds !== undefined) wholeNumber('waitSeconds', waitSeconds, { min: 0, max: 30 });
    const key = idempotencyKey === undefined ? newKey() : checkedKey(idempotencyKey);
    const body = JSON.stringify(params);
    const limits = limitsOf(this.#limits, { deadlineMs, waitSeconds });
    const sender = this.#means.journal ? await this.#senderOf() : '';
    const entry = { key, operation, path, body, sender, writtenAt: new Date().toISOString() };
    return call(intention<T>(entry, waitSeconds), { limits, signal }, this.#means);
  }

  async #ask<T>(request: ApiRequest<T>, { signal, deadlineMs }: CallOptions): Promise<Result<T>> {
    return call(request, { limits: limitsOf(this.#limits, { deadlineMs }), signal }, this.#means);
  }

  #list<T>(path: string, options: ListOptions): List<T> {
    const { limit, after } = options;
    if (limit !== undefined) wholeNumber('limit', limit, { min: 1, max: 100 });
    return new List(next => {
      const query = new URLSearchParams({
        ...(limit !== undefined && { limit: String(limit) }),
        ...(next !== undefined && { after: next }),
      }).toString();
      return this.#ask(question(query === '' ? path : `${path}?${query}`, pageOf<T>()), options);
    }, after);
  }

  /**
   * The key's outcome is known. Only an entry of our own is closed: another customer's key may have the same name. Should
   * that fail, the entry is sent again by the next `resume()`, and gets the same answer.
   */
  async #forget(key: string): Promise<void> {
    const { journal } = this.#means;
    if (!journal) return;
    try {
      const sender = await this.#senderOf();
      const entries = await journal.unfinished();
      if (entries.some(entry => entry.key === key && entry.sender === sender)) await journal.close(key);
    } catch {
      // What the caller asked for is known all the same.
    }
  }

  #senderOf(): Promise<string> {
    const { baseUrl, apiKey } = this.#means;
    return (this.#sender ??= senderOf(baseUrl, apiKey));
  }
}

/** A key that was closed; or one that was finished before, which is as definitive, and no error of the caller's. */
function cancellationOf(key: string): Read<Cancellation> {
  const read = objectOf<Operation>('operation', { key });
  return (status, json) => {
    const operation = read(status, json);
    if (operation) return { kind: 'cancelled', operation };
    if (status !== 409 || !isObject(json) || json.code !== 'already_completed') return undefined;
    const { response } = json as { response?: unknown };
    return isObject(response) && typeof response.status === 'number' && typeof response.body === 'string'
      ? { kind: 'already_completed', response: { status: response.status, body: response.body } }
      : undefined;
  };
}

function pageOf<T>(): Read<Page<T>> {
  const read = objectOf<Page<T>>('list');
  return (status, json) => {
    const page = read(status, json);
    return page && Array.isArray(page.data) ? page : undefined;
  };
}

/** An id in a path. An empty one, or dots, would lead to another place. */
function segment(id: unknown): string {
  if (typeof id !== 'string' || /^\.{0,2}$/.test(id)) throw new TypeError('id: a string that is not empty.');
  return encodeURIComponent(id);
}

function wholeNumber(name: string, value: number, { min, max }: { min: number; max: number }): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw new TypeError(`${name}: a whole number, ${min} to ${max}.`);
}
