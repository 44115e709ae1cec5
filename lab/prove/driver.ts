import { setTimeout as sleep } from 'node:timers/promises';
import { DriverLog, monotonicMs, type Asked, type Invoke, type PaymentAsked } from './driver-log.js';
import { FetchSender } from './fetch-sender.js';
import { requestHash } from './log-holes.js';
import { planOperation, spell, type Caller, type Plan } from './plan.js';
import { Random } from './random.js';
import { replyOf } from './reply.js';
import type { Ended, Request, Sender } from './send.js';

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
}

/**
 * Makes payments, many at once, and writes down what it did and what it was told: see driver-log.ts. It is the caller
 * whom the promises are made to. So it repeats, changes its mind, mixes keys up and gives money back, all by its seed;
 * and it goes on asking until it knows.
 */
export class Driver {
  private readonly log: DriverLog;
  private readonly random: Random;
  private exchanges = 0;
  private begun = 0;
  private isStopping = false;
  private readonly givingUp = new AbortController();

  constructor(
    private readonly options: DriverOptions,
    private readonly sender: Sender = senderOf(options),
  ) {
    this.log = new DriverLog(options.log);
    this.random = Random.of(options.seed, options.name, 'spelling');
  }

  /** Resolves when every operation that was begun has come to its end, or was given up. @returns how many began */
  async run(): Promise<number> {
    await Promise.all(Array.from({ length: this.options.atOnce }, () => this.operateOneAfterTheOther()));
    this.log.close();
    return this.begun;
  }

  /** Begins nothing new. What is under way is brought to its end. */
  stop(): void {
    this.isStopping = true;
  }

  /** And does not even do that. What is not known by now stays unknown, and the log says so. */
  giveUp(): void {
    this.stop();
    this.givingUp.abort();
  }

  private async operateOneAfterTheOther(): Promise<void> {
    const { operations = Infinity, thinkMs } = this.options;
    while (!this.isStopping && this.begun < operations) {
      await this.operate(planOperation({ ...this.options, driver: this.options.name }, (this.begun += 1)));
      if (thinkMs > 0) await this.rest(this.random.next() * 2 * thinkMs);
    }
  }

  /** Cut short by the end of the run. */
  private async rest(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.givingUp.signal }).catch(() => undefined);
  }

  /** The life of one operation, as its caller sees it. */
  private async operate(plan: Plan): Promise<void> {
    const one = new Operation(plan.operation, plan.caller, plan.key);
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
    const other = new Operation(`${plan.operation}-of-${caller.name}`, caller, plan.key);
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
    const back = new Operation(`${operation}-back`, caller, key);
    await this.send(
      back,
      { asked: 'refund', params },
      { method: 'POST', path, body: JSON.stringify({ amount }) },
    );
  }

  private readBalance(caller: Caller, name: string): Promise<Ended | null> {
    const one = new Operation(name, caller, null);
    return this.send(one, { asked: 'accounts', params: null }, { method: 'GET', path: '/accounts' });
  }

  /** Each attempt is in the log before its first byte is sent, and its end before anything else is done. */
  private send(
    one: Operation,
    { asked, params, prefer, notToTell }: Wish,
    request: Pick<Request, 'method' | 'path' | 'body'>,
  ): Promise<Ended | null> {
    const { caller, key, name: operation } = one;
    return this.sender.send(
      { ...request, apiKey: caller.apiKey, key, asked, ...(prefer !== undefined && { prefer }) },
      {
        begins: () => {
          const exchange = `${this.options.name}:${(this.exchanges += 1)}`;
          this.log.write({
            kind: 'invoke',
            exchange,
            operation,
            attempt: one.nextAttempt(),
            customer: caller.name,
            key,
            asked,
            request: requestHash({ params }),
            params,
            ...(prefer !== undefined && { prefer }),
            at: monotonicMs(),
          });
          return exchange;
        },
        ends: (exchange, end) => {
          const about = { exchange, at: monotonicMs(), asked, ...(notToTell && { notToTell }) };
          this.log.write(replyOf(end, about));
        },
      },
      this.givingUp.signal,
    );
  }
}

/** What is asked for, as the log has it. */
interface Wish {
  readonly asked: Asked;
  readonly params: Invoke['params'];
  readonly prefer?: string;
  readonly notToTell?: readonly string[];
}

/** Counts its attempts, however many are made at once. */
class Operation {
  private attempts = 0;

  constructor(
    readonly name: string,
    readonly caller: Caller,
    readonly key: string | null,
  ) {}

  nextAttempt(): number {
    return (this.attempts += 1);
  }
}

function inOperation(params: string): string {
  return `{"operation":"payment","params":${params}}`;
}

/** What of a request is nobody else's business. Rail, currency and payer may be the same by chance. */
function valuesOf({ to, amount, reference }: PaymentAsked): string[] {
  return [to, String(amount), reference ?? ''];
}

/** One caller in three is in a hurry, and asks long before it was told to. */
function senderOf({ name, seed, urls }: DriverOptions): Sender {
  const random = Random.of(seed, name, 'patience');
  return new FetchSender(urls, random, () => (random.chance(1 / 3) ? 0.1 : 1));
}

/**
 * As a process: `node driver.js '<options as JSON>'`. SIGTERM, or the end of its parent, stops it from beginning
 * anything new; a second SIGTERM makes it give up.
 */
if (import.meta.main) {
  const driver = new Driver(JSON.parse(process.argv[2] ?? '{}') as DriverOptions);
  process.once('SIGTERM', () => {
    driver.stop();
    process.once('SIGTERM', () => {
      driver.giveUp();
    });
  });
  process.once('disconnect', () => {
    driver.giveUp();
  });
  console.log(JSON.stringify({ operations: await driver.run() }));
  if (process.connected) process.disconnect();
}
