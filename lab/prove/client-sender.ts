import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DefinitiveNo,
  MemoryJournal,
  PaySamError,
  type Entry,
  type Journal,
  type PaySam,
  type PaymentParams,
  type PaySamOptions,
} from '@pay-sam/client';
import { FileJournal } from '@pay-sam/client/node';
import type { Ended, Listener, Request, Sender } from './send.js';
import { ToldClient, type CallsEnded } from './told-client.js';

/**
 * Before the client is asked to resume, in milliseconds; it doubles, and half of it is drawn, while nobody answers.
 * Minutes would do in a shop. Here a run ends, and wants to know.
 */
const resumeMs = { first: 500, most: 5_000 };

export interface ClientSenderOptions {
  readonly urls: readonly string[];
  /** A folder: what is in it when the process dies is taken up by the next one. Left out, it is forgotten. */
  readonly journal?: string;
  /** Of the client; its defaults are what is published. */
  readonly client?: Partial<
    Pick<PaySamOptions, 'attemptTimeoutMs' | 'attemptsMax' | 'backoff' | 'budget' | 'deadlineMs'>
  >;
}

/**
 * A caller that pays through the published client, with its defaults: one key for each intended payment, its journal,
 * and `resume()` for what stayed unknown. The client gives up when it should, so that a server in trouble is left alone;
 * a shop does not, and neither does this sender.
 *
 * What no client sends goes out by hand: a key that is somebody else's, no key at all, or another method.
 */
export class ClientSender implements Sender {
  private readonly customers = new Map<string, CustomerClient>();

  constructor(
    private readonly options: ClientSenderOptions,
    private readonly byHand: Sender,
  ) {}

  /** How the client's calls have ended, over all customers. */
  get ended(): CallsEnded {
    const all: Record<string, number> = {};
    for (const { told } of this.customers.values()) {
      for (const [how, times] of Object.entries(told.ended)) all[how] = (all[how] ?? 0) + times;
    }
    return all;
  }

  send(request: Request, listener: Listener, signal: AbortSignal): Promise<Ended | null> {
    const { apiKey, asked, byHand = false, key } = request;
    if (byHand || key === null || asked === 'put' || asked === 'accounts') {
      return this.byHand.send(request, listener, signal);
    }
    return this.clientOf(apiKey).send({ ...request, key }, listener, signal);
  }

  /** Brings what an earlier life of this process has left in the journal to its end. */
  takeUp(apiKey: string, listenerOf: (entry: Entry) => Listener, signal: AbortSignal): Promise<void> {
    return this.clientOf(apiKey).takeUp(listenerOf, signal);
  }

  private clientOf(apiKey: string): CustomerClient {
    let customer = this.customers.get(apiKey);
    if (!customer) this.customers.set(apiKey, (customer = new CustomerClient(apiKey, this.options)));
    return customer;
  }
}

/** Somebody who waits to hear what became of a key. */
interface Waiting {
  readonly listener: Listener;
  /** `undefined`: the journal no longer has it, so whoever asks again is told at once. */
  readonly hear: (end: Ended | null | undefined) => void;
}

/** One customer's client. A journal belongs to one: two customers may choose the same key. */
class CustomerClient {
  readonly told: ToldClient;
  private readonly journal: Journal;
  private readonly waiting = new Map<string, Waiting[]>();
  private isResuming = false;
  /** Somebody was given up on: the others would fare no better, and are left for the next time. */
  private isInVain = false;

  constructor(apiKey: string, { client, journal, urls }: ClientSenderOptions) {
    // Nothing that is written here opens an account.
    const name = createHash('sha256').update(apiKey).digest('hex').slice(0, 16);
    this.journal = journal === undefined ? new MemoryJournal() : FileJournal.at(join(journal, name));
    this.told = new ToldClient(urls, { apiKey, ...client, journal: this.journalToResumeFrom() });
  }

  async send(
    request: Request & { key: string },
    listener: Listener,
    signal: AbortSignal,
  ): Promise<Ended | null> {
    const isRemembered = request.asked === 'pay' || request.asked === 'refund';
    while (!signal.aborted) {
      const { end, isKnown } = await this.call(request, listener, signal);
      if (isKnown) return end;
      if (isRemembered) {
        const later = await this.waitFor(request.key, listener, signal);
        if (later !== undefined) return later;
      } else {
        await rest(resumeMs.first, signal);
      }
    }
    return null;
  }

  async takeUp(listenerOf: (entry: Entry) => Listener, signal: AbortSignal): Promise<void> {
    const left = await this.journal.unfinished();
    await Promise.all(left.map(entry => this.waitFor(entry.key, listenerOf(entry), signal, 0)));
  }

  private async call(request: Request & { key: string }, listener: Listener, signal: AbortSignal) {
    let end: Ended | null = null;
    const hearing: Listener = {
      begins: listener.begins,
      ends: (exchange, how) => {
        end = how;
        listener.ends(exchange, how);
      },
    };
    const isKnown = await this.told
      .run({ listenerOf: () => hearing }, client => ask(client, request, signal))
      .catch(isSettledBy);
    return { end: end as Ended | null, isKnown };
  }

  private waitFor(key: string, listener: Listener, signal: AbortSignal, pauseMs: number = resumeMs.first) {
    return new Promise<Ended | null | undefined>(hear => {
      this.waiting.set(key, [...(this.waiting.get(key) ?? []), { listener, hear }]);
      if (this.isResuming) return;
      this.isResuming = true;
      void this.resumeUntilNobodyWaits(signal, pauseMs).finally(() => (this.isResuming = false));
    });
  }

  private async resumeUntilNobodyWaits(signal: AbortSignal, pauseMs: number): Promise<void> {
    for (let vain = 0; this.waiting.size > 0; vain = this.isInVain ? vain + 1 : 0) {
      await rest(Math.min(pauseMs * 2 ** vain, resumeMs.most) * (0.5 + Math.random() / 2), signal);
      if (!signal.aborted) await this.resumeOnce(signal);
      pauseMs = resumeMs.first;
      if (signal.aborted) for (const key of [...this.waiting.keys()]) this.tell(key, null);
    }
  }

  private async resumeOnce(signal: AbortSignal): Promise<void> {
    const asked = [...this.waiting.keys()];
    const ends = new Map<string, Ended>();
    this.isInVain = false;
    const { resumed } = await this.told.run(
      {
        listenerOf: key => this.listenerFor(key ?? '', ends),
        gaveUp: () => (this.isInVain = true),
      },
      client => client.resume({ signal }),
    );
    const sent = new Set(resumed.map(({ entry }) => entry.key));
    for (const { entry, error, result } of resumed) {
      const isKnown = error ? error instanceof DefinitiveNo : result.data.status !== 'pending';
      if (isKnown) this.tell(entry.key, ends.get(entry.key));
    }
    const left = new Set((await this.journal.unfinished()).map(({ key }) => key));
    for (const key of asked) if (!sent.has(key) && !left.has(key)) this.tell(key, undefined);
  }

  private listenerFor(key: string, ends: Map<string, Ended>): Listener {
    const [first] = this.waiting.get(key) ?? [];
    if (!first) throw new Error(`nobody waits for ${key}`);
    return {
      begins: first.listener.begins,
      ends: (exchange, end) => {
        ends.set(key, end);
        first.listener.ends(exchange, end);
      },
    };
  }

  private tell(key: string, end: Ended | null | undefined): void {
    const waiting = this.waiting.get(key) ?? [];
    this.waiting.delete(key);
    for (const { hear } of waiting) hear(end);
  }

  /** The journal, without what is being sent at this moment: `resume` would send that as well. */
  private journalToResumeFrom(): Journal {
    const { journal } = this;
    return {
      open: entry => journal.open(entry),
      adopt: async key => !this.isInVain && journal.adopt(key),
      withdraw: key => journal.withdraw(key),
      close: key => journal.close(key),
      unfinished: async () => (await journal.unfinished()).filter(({ key }) => this.waiting.has(key)),
    };
  }
}

/** @returns whether the answer is the last word */
async function ask(
  client: PaySam,
  request: Request & { key: string },
  signal: AbortSignal,
): Promise<boolean> {
  const { asked, body = '{}', key: idempotencyKey, path, prefer } = request;
  const options = { signal, idempotencyKey, ...waitOf(prefer) };
  if (asked === 'look') {
    await client.operations.get(idempotencyKey, { signal });
    return true;
  }
  if (asked === 'cancel') {
    await client.operations.cancel(idempotencyKey, { signal });
    return true;
  }
  if (asked === 'refund') {
    const [, , paymentId = ''] = path.split('/');
    const { data } = await client.refunds.create(paymentId, JSON.parse(body) as { amount: number }, options);
    return data.status !== 'pending';
  }
  const { data } = await client.payments.create(JSON.parse(body) as PaymentParams, options);
  return data.status !== 'pending';
}

/** As the client takes it: whole seconds, none for `respond-async`. */
function waitOf(prefer: string | undefined): { waitSeconds?: number } {
  if (prefer === undefined) return {};
  return { waitSeconds: Number(/^wait=(\d+)$/.exec(prefer)?.[1] ?? 0) };
}

/** A no is an answer; doubt is none. Anything but the client's own errors is a mistake of the harness. */
function isSettledBy(error: unknown): boolean {
  if (error instanceof PaySamError) return error instanceof DefinitiveNo;
  throw error;
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
