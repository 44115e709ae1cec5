import { setTimeout as sleep } from 'node:timers/promises';
import type { TcpProxy } from '../../tcp-proxy.js';
import type { World } from '../../world.js';
import type { DirectedCaller, Payment } from './directed-caller.js';
import type { Kill } from './plan.js';
import type { Struck } from './trigger.js';
import type { Victim } from './victim.js';

/** A process that has died with payments in its hands. */
export interface Crash {
  readonly kill: Kill;
  /** By name: the writer of what it left behind. */
  readonly victim: string;
  /** When it came to that place, and when it was killed: epoch milliseconds. */
  readonly metAt: number;
  readonly killedAt: number;
  /** All that were sent for it, also those that it did not die with. */
  readonly payments: readonly Payment[];
  /** The attempts it died with, by its own words; `null`: it died with all of `payments`. */
  readonly struck: readonly string[] | null;
  /** Lets go of what the bank holds: a request that arrives after its sender has died. */
  readonly release: () => Promise<unknown>;
}

export interface Means {
  readonly world: World;
  readonly victim: Victim;
  readonly caller: DirectedCaller;
  /** Brings a payment to the victim. Resolves when its sender knows what became of it. */
  readonly send: (payment: Payment) => Promise<unknown>;
  /** Before an API: where an answer can be cut. */
  readonly door?: TcpProxy;
}

/** It was not met there. That says something about the harness, and nothing about the product. */
export class Missed extends Error {
  override readonly name = 'Missed';

  constructor(
    why: string,
    /** What was sent all the same, and wants an end. */
    readonly payments: readonly Payment[],
  ) {
    super(why);
  }
}

/** How long it may take from sending the payments until the victim is met, in milliseconds. */
const metWithinMs = 10_000;

/** A batch does not always come about. How often the same victim is sent payments until it does. */
const roundsMax = 5;

/** What was said before the end arrives a moment after it. */
const lastWordsMs = 100;

/** Brings payments to the place of `kill`, and kills their holder there. @throws Missed: not there, then */
export async function crash(kill: Kill, means: Means): Promise<Crash> {
  const crashing = new Crashing(kill, means);
  const happened = await crashing.happen();
  // Its callers hear nothing more; until they have noticed, their attempts are not over.
  await means.victim.process.kill();
  await crashing.untilCallersKnow();
  return happened;
}

class Crashing {
  private readonly payments: Payment[] = [];
  private readonly sent: Promise<unknown>[] = [];
  private readonly creditor: string;
  private allToldAt: number | undefined;

  constructor(
    private readonly kill: Kill,
    private readonly means: Means,
  ) {
    this.creditor = `payee-of-${means.victim.name}`;
  }

  happen(): Promise<Crash> {
    const { strike } = this.kill.place;
    switch (strike.by) {
      case 'event':
        return this.atEvent(strike.point);
      case 'commit':
        return this.atCommit(strike.side);
      case 'bank':
        return this.atTheBank(strike.at);
      case 'answer':
        return this.inItsAnswer(strike.bytes);
    }
  }

  async untilCallersKnow(): Promise<void> {
    await Promise.all(this.sent);
  }

  private async atEvent(point: string): Promise<Crash> {
    const struck = await this.strike(point, 'SIGKILL');
    return this.crashed(struck.at, struck);
  }

  /** It stands still just before its COMMIT until that can be told from every other. */
  private async atCommit(side: 'before' | 'after'): Promise<Crash> {
    const { link, process } = this.means.victim;
    const struck = await this.strike('outcomes_recorded', 'SIGSTOP');
    const which = (statements: string[]) =>
      statements.some(
        text => text.includes('reached.recovery_point') || text.includes("recovery_point = 'finished'"),
      );
    const held = link.holdCommit(side, { which }).then(() => true);
    const until = performance.now() + metWithinMs;
    // Again and again: it says that it will stop a moment before it does, and a signal that comes too early is lost.
    for (let isHeld = false; !isHeld; isHeld = await Promise.race([held, sleep(20, false)])) {
      if (performance.now() > until) throw await this.missed('its COMMIT never came');
      process.signal('SIGCONT');
    }
    return this.crashed(Date.now(), struck);
  }

  private async atTheBank(moment: 'before' | 'after'): Promise<Crash> {
    const { control } = this.means.world.bank;
    const { payments: times, place } = this.kill;
    const method = place.stage === 'transfer_sent' ? 'GET' : 'PUT';
    const target = { at: moment, method, creditor: this.creditor, times };
    const { id } = (await control('POST', '/barriers', target)) as { id: string };
    let released: Promise<unknown> | undefined;
    const release = () => (released ??= control('DELETE', `/barriers/${id}`));
    await this.sendRound();
    const until = performance.now() + metWithinMs;
    for (let held = 0; held < times;) {
      ({ held } = (await control('GET', `/barriers/${id}?wait_ms=200`)) as { held: number });
      if (performance.now() < until && !this.isInVain()) continue;
      await release();
      throw await this.missed(`the bank held ${held} of ${times} requests`);
    }
    return { ...this.crashed(Date.now(), null), release };
  }

  private async inItsAnswer(bytes: (length: number) => number): Promise<Crash> {
    const { caller, door, victim } = this.means;
    if (!door) throw new Error(`${victim.name} gives no answers`);
    // Keys and amounts of one length make answers of one length. On a slow machine the first answer may be no end yet.
    const before = door.bytesAnswered;
    await caller.untilTold(caller.newPayment(this.kill.wish, this.creditor), [door.url]);
    const cuts = door.struck.cut ?? 0;
    door.cutAnswerAfter(bytes(door.bytesAnswered - before));
    await this.sendRound();
    const until = performance.now() + metWithinMs;
    while ((door.struck.cut ?? 0) === cuts) {
      if (performance.now() > until || this.isInVain()) throw await this.missed('no answer was cut');
      await sleep(3);
    }
    return this.crashed(Date.now(), null);
  }

  /** @throws Missed when no batch of that size came about, however often it was tried */
  private async strike(point: string, strike: 'SIGKILL' | 'SIGSTOP'): Promise<Struck> {
    const { atLeast, place } = this.kill;
    const { victim } = this.means;
    await victim.arm({ point, recoveryPoint: place.stage, atLeast, strike });
    for (let rounds = 0; rounds < roundsMax; rounds += 1) {
      await this.sendRound();
      const struck = await victim.struck(metWithinMs, () => this.isInVain());
      if (struck) return struck;
    }
    throw await this.missed(`no ${atLeast} attempts ever came to ${point} together`);
  }

  /** In one turn of the event loop, so that they arrive together. */
  private async sendRound(): Promise<void> {
    const { caller, send, world } = this.means;
    const { payments: times, wish } = this.kill;
    if (wish === 'declined') {
      await world.bank.control('POST', '/faults', { kind: 'decline', creditor: this.creditor, times });
    }
    const round = Array.from({ length: times }, () => caller.newPayment(wish, this.creditor));
    this.payments.push(...round);
    this.allToldAt = undefined;
    this.sent.push(...round.map(send));
    void Promise.all(this.sent).then(() => (this.allToldAt = performance.now()));
  }

  /** Everybody has an answer, so nobody is on the way to where the victim waits. A completer takes its time. */
  private isInVain(): boolean {
    const { allToldAt } = this;
    return (
      this.kill.holder === 'request' && allToldAt !== undefined && performance.now() - allToldAt > lastWordsMs
    );
  }

  private crashed(killedAt: number, struck: Struck | null): Crash {
    const { kill, means, payments } = this;
    const when = { metAt: struck?.at ?? killedAt, killedAt };
    const what = { payments, struck: struck?.attempts ?? null };
    return { kill, victim: means.victim.name, ...when, ...what, release: () => Promise.resolve() };
  }

  private async missed(why: string): Promise<Missed> {
    const { kill, means } = this;
    await means.victim.process.kill();
    await means.victim.link.heal();
    await this.untilCallersKnow();
    return new Missed(`${kill.place.id}, ${kill.holder}: ${why}`, this.payments);
  }
}
