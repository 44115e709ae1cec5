import { setTimeout as sleep } from 'node:timers/promises';
import type { Entry } from '@pay-sam/client';
import { ClientSender } from './client-sender.js';
import type { PaymentAsked } from './driver-log.js';
import { meantBy, readPast } from './driver-past.js';
import { FetchSender } from './fetch-sender.js';
import { justThePayment, planOperation, spell, type Caller, type Plan } from './plan.js';
import { Random } from './random.js';
import { Scribe, type Wish } from './scribe.js';
import type { Ended, Request, Sender } from './send.js';
import type { CallsEnded } from './told-client.js';

export interface DriverOptions {
  /** Begins the name of each of its operations. */
  readonly name: string;
  readonly seed: number;
  readonly urls: readonly string[];
  /** At least one. */
  readonly callers: readonly Caller[];
  readonly log: string;
  /** Operations under way at once. */
  readonly atOnce: number;
  /** Rest between two operations of one of them, in milliseconds: what keeps a small machine usable. */
  readonly thinkMs: number;
  /** It ends by itself after so many; else when it is told to. */
  readonly operations?: number;
  /** `client`: the published one, for all that a client sends. `fetch`, the default: retries of the harness's own. */
  readonly sender?: 'client' | 'fetch';
  /** The client's journal, a folder. With it and its log, a driver that was killed goes on where it died. */
  readonly journal?: string;
  /** Each operation is a payment and nothing else: whoever counts requests wants no repeats on purpose. */
  readonly justPayments?: boolean;
}

/**
 * Makes payments, many at once, and writes down what it did and what it was told: see driver-log.ts. It is the caller
 * whom the promises are made to. So it repeats, changes its mind, mixes keys up and gives money back, all by its seed;
 * and it goes on asking until it knows.
 */
export class Driver {
  private readonly scribe: Scribe;
  private readonly random: Random;
  /** Of an earlier life, to be looked into before anything new. */
  private readonly open: number[];
  private begun: number;
  private isStopping = false;
  private readonly givingUp = new AbortController();

  constructor(
    private readonly options: DriverOptions,
    private readonly sender: Sender = senderOf(options),
  ) {
    const past = readPast(options.log, options.name);
    this.scribe = new Scribe(options.log, options.name, past);
    this.open = [...past.open];
    this.begun = past.begun;
    this.random = Random.of(options.seed, options.name, 'spelling');
  }

  /** Resolves when every operation that was begun has come to its end, or was given up. @returns how many began */
  async run(): Promise<number> {
    await this.takeUp();
    await Promise.all(Array.from({ length: this.options.atOnce }, () => this.operateOneAfterTheOther()));
    this.scribe.close();
    return this.begun;
  }

  /** How the published client's calls have ended, in its own words. Nothing where another sender was at work. */
  get calls(): CallsEnded {
    return this.sender instanceof ClientSender ? this.sender.ended : {};
  }

  /** Begins nothing new. What is under way is brought to its end. */
  stop(): void {
    this.isStopping = true;
    this.sender.hurry?.();
  }

  /** And does not even do that. What is not known by now stays unknown, and the log says so. */
  giveUp(): void {
    this.stop();
    this.givingUp.abort();
  }

  /** What the client's journal holds comes first: it may have been paid for by nobody, or not at all. */
  private async takeUp(): Promise<void> {
    const { sender } = this;
    if (!(sender instanceof ClientSender) || this.options.journal === undefined) return;
    const callers = new Map(this.options.callers.map(caller => [caller.apiKey, caller]));
    const listenTo = (caller: Caller) => (entry: Entry) =>
      this.scribe.listen({ ...meantBy(entry, caller.name), customer: caller.name, key: entry.key });
    await Promise.all(
      [...callers].map(([apiKey, caller]) => sender.takeUp(apiKey, listenTo(caller), this.givingUp.signal)),
    );
  }

  private async operateOneAfterTheOther(): Promise<void> {
    const { operations = Infinity, thinkMs } = this.options;
    while (this.open.length > 0 || (!this.isStopping && this.begun < operations)) {
      // The same number is the same plan, under the same keys.
      await this.operate(this.plan(this.open.shift() ?? (this.begun += 1)));
      if (thinkMs > 0) await this.rest(this.random.next() * 2 * thinkMs);
    }
  }

  private plan(nth: number): Plan {
    const plan = planOperation({ ...this.options, driver: this.options.name }, nth);
    return this.options.justPayments === true ? justThePayment(plan) : plan;
  }

  /** Cut short by the end of the run. */
  private async rest(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.givingUp.signal }).catch(() => undefined);
  }

  /** The life of one operation, as its caller sees it. */
  private async operate(plan: Plan): Promise<void> {
    const one = { name: plan.operation, caller: plan.caller, key: plan.key };
    const { cancel, collision, params, stranger } = plan;

    if (cancel === 'before') await this.cancel(one);
    // Begun in one turn of the event loop, and so on the wire together.
    const first = this.pay(one, params, plan);
    const meanwhile = Array.from({ length: plan.together }, () => this.pay(one, params, plan));
    if (collision?.when === 'together') meanwhile.push(this.pay(one, collision.params, plan, params));
    if (cancel === 'together') meanwhile.push(this.cancel(one));
    if (stranger) meanwhile.push(this.meet(plan, stranger));
    const end = await first;
    await Promise.all(meanwhile);

    if (collision?.when === 'after') await this.pay(one, collision.params, plan, params);
    if (cancel === 'after') await this.cancel(one);
    if (plan.repeatsAfterMs > 0) await this.rest(plan.repeatsAfterMs);
    for (let repeats = 0; repeats < plan.repeats; repeats += 1) await this.pay(one, params, plan);
    if (plan.looks) await this.look(one);
    if (plan.refund !== undefined) await this.refund(plan, end, plan.refund);
    if (plan.readsBalance) await this.readBalance(plan.caller, `${plan.operation}-balance`);
  }

  /** @param first the request whose key this one takes by mistake: nothing of it may be told */
  private pay(
    one: Operation,
    params: PaymentAsked,
    { isPut, prefer }: Pick<Plan, 'isPut' | 'prefer'>,
    first?: PaymentAsked,
  ): Promise<Ended | null> {
    const spelled = spell(params, this.random);
    const request = isPut
      ? { method: 'PUT' as const, path: `/operations/${one.key ?? ''}`, body: inOperation(spelled) }
      : { method: 'POST' as const, path: '/payments', body: spelled };
    const notToTell = first && valuesOf(first).filter(value => !valuesOf(params).includes(value));
    const asked = isPut ? 'put' : 'pay';
    return this.send(
      one,
      { asked, params, ...(notToTell && { notToTell }), ...(prefer && { prefer }) },
      request,
    );
  }

  private cancel(one: Operation): Promise<Ended | null> {
    const path = `/operations/${one.key ?? ''}/cancel`;
    return this.send(one, { asked: 'cancel', params: null }, { method: 'POST', path });
  }

  private look(one: Operation): Promise<Ended | null> {
    const path = `/operations/${one.key ?? ''}`;
    return this.send(one, { asked: 'look', params: null }, { method: 'GET', path });
  }

  /** Somebody else has chosen the same key, or tries what it opens. */
  private meet(plan: Plan, { caller, does }: NonNullable<Plan['stranger']>): Promise<Ended | null> {
    const other = { name: `${plan.operation}-of-${caller.name}`, caller, key: plan.key };
    if (does === 'look') return this.look(other);
    const params = { ...plan.params, from: caller.name, reference: other.name };
    return this.pay(other, params, { isPut: false, prefer: undefined });
  }

  /** A refund is an operation of its own, with a key of its own. Only what was seen to succeed can be given back. */
  private async refund({ caller, operation }: Plan, end: Ended | null, amount: number): Promise<void> {
    if (end?.kind !== 'answered' || end.status !== 200) return;
    const json = JSON.parse(end.text) as { id?: string; object?: string };
    if (json.object !== 'payment' || json.id === undefined) return;
    const key = caller.isKeyless === true ? null : `key-${operation}-back`;
    const path = `/payments/${json.id}/refunds`;
    const params = { payment_id: json.id, amount };
    const back = { name: `${operation}-back`, caller, key };
    await this.send(
      back,
      { asked: 'refund', params },
      { method: 'POST', path, body: JSON.stringify({ amount }) },
    );
  }

  private readBalance(caller: Caller, name: string): Promise<Ended | null> {
    const one = { name, caller, key: null };
    return this.send(one, { asked: 'accounts', params: null }, { method: 'GET', path: '/accounts' });
  }

  private send(
    { name: operation, caller, key }: Operation,
    what: What,
    request: Pick<Request, 'method' | 'path' | 'body'>,
  ): Promise<Ended | null> {
    const { asked, prefer, notToTell } = what;
    // Somebody else's key is taken by hand, and by mistake.
    const more = { ...(prefer !== undefined && { prefer }), ...(notToTell && { byHand: true as const }) };
    return this.sender.send(
      { ...request, apiKey: caller.apiKey, key, asked, ...more },
      this.scribe.listen({ operation, customer: caller.name, key, ...what }),
      this.givingUp.signal,
    );
  }
}

/** What is asked for, whatever it is asked with. */
type What = Pick<Wish, 'asked' | 'params' | 'prefer' | 'notToTell'>;

/** One key, or none, of one caller's. */
interface Operation {
  readonly name: string;
  readonly caller: Caller;
  readonly key: string | null;
}

function inOperation(params: string): string {
  return `{"operation":"payment","params":${params}}`;
}

/** What of a request is nobody else's business. Rail, currency and payer may be the same by chance. */
function valuesOf({ to, amount, reference }: PaymentAsked): string[] {
  return [to, String(amount), reference ?? ''];
}

/** One caller in three is in a hurry, and asks long before it was told to. */
function senderOf({ name, seed, urls, sender, journal }: DriverOptions): Sender {
  const random = Random.of(seed, name, 'patience');
  const byHand = new FetchSender(urls, random, () => (random.chance(1 / 3) ? 0.1 : 1));
  return sender === 'client'
    ? new ClientSender({ urls, ...(journal !== undefined && { journal }) }, byHand)
    : byHand;
}
