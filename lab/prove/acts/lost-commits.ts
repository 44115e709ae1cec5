import type { PostgresProxy } from '../../../test/support/postgres-proxy.js';
import type { Act, ActResult, Stage } from '../act.js';
import { join } from '../joined.js';
import { Random } from '../random.js';
import { Findings, type Violation } from '../violation.js';
import { MoneyWatch } from '../watch-money.js';
import { ResourceWatch } from '../watch-resources.js';
import type { Witnesses } from '../witnesses.js';
import { victims, World } from '../world.js';
import { FirstCallers, isToldFirst, paidIn, type Wish } from './first-callers.js';
import { hearWitnesses, sumUp, timeOf, untilQuiet } from './judge.js';

/** Lost COMMITs in all, half on each side of the server. */
const cuts = { gate: 500, long: 5_000 };

/** Of a thousand rounds, none may be without its COMMIT to lose for ever: after so many tries it is a failure. */
const roundsPerCut = 3;

/**
 * Which transaction is whose: T1 claims a key and opens the payment (on rail ledger, and for a refund, it ends it, too),
 * T2 records that the transfer was sent, T3 posts or voids it and records the answer. One batch may hold all three.
 */
const transactions = {
  'T1, rail ledger': has('insert into payments'),
  'T1, rail bank': has('insert into payments'),
  'T1, refund': has('insert into refunds'),
  T2: (statements: string[]) => has('reached.recovery_point')(statements) && !opens(statements),
  T3: (statements: string[]) => has("recovery_point = 'finished'")(statements) && !opens(statements),
} as const;

type Transaction = keyof typeof transactions;

/** More than a payment through the bank takes, with the logins that a reset costs. */
const messagesMax = 300;

/** Requests sent at once. The first leave alone, and the others share the next transaction: that one is lost. */
const sizes = [1, 1, 2, 5, 20, 50] as const;

/**
 * The holder of a key must outlast its lost COMMITs: nobody is to be told anything by whoever took over. So both are
 * longer than a batch is repeated, and this is the only act whose leases are not short.
 */
const env = { LEASE_MS: '10000', BANK_TIMEOUT_MS: '5000', BANK_REQUEST_TIMEOUT_MS: '2000' };

/**
 * The connection is lost around COMMIT, before it reached the server or after it was carried out; both look the same
 * from here. Every caller gets its own first answer: the batch is repeated where it was lost, and recognised where it
 * was not. And the same for a reset at each single message of all transactions.
 */
export const lostCommits: Act = {
  name: 'lost-commits',
  about: 'COMMIT is lost, on its way there or back',
  perform,
};

async function perform({ seed, scale, say }: Stage): Promise<ActResult> {
  const world = await World.create({ env });
  const money = new MoneyWatch(world.postgres.url, world.bankAddress);
  const resources = new ResourceWatch(world.postgres.url, () => world.pids());
  try {
    const lanes = (['api-1', 'api-2'] as const).map(name => new Lane(world, name, seed));
    await Promise.all(lanes.map(lane => lane.loseCommits(cuts[scale] / lanes.length)));
    say(`${cuts[scale]} COMMITs lost`);
    const rails = ['bank', 'ledger'] as const;
    await Promise.all(lanes.map((lane, index) => lane.resetAtEachMessage(rails[index] ?? 'ledger')));
    say('reset at each message');
    await world.heal(victims);
    const healedAt = await timeOf(world.postgres.sql);
    await untilQuiet(world.postgres.sql);
    const seen: Record<string, number> = {};
    for (const lane of lanes) {
      lane.callers.close();
      for (const [what, times] of Object.entries(lane.seen)) seen[what] = (seen[what] ?? 0) + times;
    }
    const course = {
      databaseUrl: world.postgres.url,
      bank: world.bankAddress,
      logs: lanes.map(({ callers }) => callers.path),
      healedAt,
      money: await money.stop(),
      samples: await resources.stop(),
      seen,
      wanted: wantedOf(scale),
    };
    const witnesses = await hearWitnesses(course);
    Object.assign(seen, countBatches(witnesses));
    return sumUp(lostCommits.name, witnesses, { more: notToldFirst(witnesses) });
  } finally {
    await Promise.all([money.stop(), resources.stop()]);
    await world.stop();
  }
}

function wantedOf(scale: Stage['scale']): Record<string, number> {
  const kinds = Object.keys(transactions);
  // Two lanes, each of which goes through all kinds and both sides in turn.
  const each = 2 * Math.floor(cuts[scale] / 2 / (2 * kinds.length));
  return {
    ...Object.fromEntries(
      kinds.flatMap(kind => [
        [`COMMIT of ${kind} lost on its way there`, each],
        [`COMMIT of ${kind} lost on its way back`, each],
      ]),
    ),
    'F29 reset at a message, rail ledger': 20,
    'F29 reset at a message, rail bank': 50,
    'batch of 2 to 9': 20,
    'batch of 10 or more': 20,
    'batch of 40 or more': 5,
    'answer 402 declined_by_bank': 10,
  };
}

/** Claims that were made in one transaction. The history of keys knows; the APIs need not be asked. */
function countBatches(witnesses: Witnesses): Record<string, number> {
  const claims = witnesses.database.history.filter(({ change }) => change === 'INSERT');
  const counts = {
    'batch of one': 0,
    'batch of 2 to 9': 0,
    'batch of 10 or more': 0,
    'batch of 40 or more': 0,
  };
  for (const [, { length }] of Map.groupBy(claims, ({ transaction }) => transaction)) {
    if (length === 1) counts['batch of one'] += 1;
    else if (length < 10) counts['batch of 2 to 9'] += 1;
    else counts['batch of 10 or more'] += 1;
    if (length >= 40) counts['batch of 40 or more'] += 1;
  }
  return counts;
}

/** Callers who were told anything else than their own first answer: `in_progress`, a replay, to come back later. */
function notToldFirst(witnesses: Witnesses): Violation[] {
  const found = new Findings('I3');
  for (const exchange of witnesses.log) {
    const { attempt, operation } = exchange.invoke;
    if (attempt !== 1 || isToldFirst(exchange)) continue;
    const history = join(witnesses).history.get(join(witnesses).ownerOf(exchange) ?? '');
    found.add('a lost COMMIT costs nobody the first answer', operation, { exchange, history });
  }
  return found.violations;
}

/** One API, its callers, and the road to its database. */
class Lane {
  readonly callers: FirstCallers;
  readonly seen: Record<string, number> = {};
  private readonly random: Random;
  private readonly link: PostgresProxy;

  constructor(world: World, name: 'api-1' | 'api-2', seed: number) {
    this.callers = new FirstCallers(world, name, seed);
    this.random = Random.of(seed, 'lost-commits', name);
    this.link = world.databaseLinks[name];
  }

  /** Kind by kind and side by side, so that each has its share of `wanted`. */
  async loseCommits(wanted: number): Promise<void> {
    const kinds = Object.keys(transactions) as Transaction[];
    const plan = kinds.flatMap(kind => (['before', 'after'] as const).map(side => ({ kind, side })));
    for (let lost = 0, rounds = 0; lost < wanted; rounds += 1) {
      if (rounds > wanted * roundsPerCut) throw new Error(`only ${lost} of ${wanted} COMMITs were lost`);
      const { kind, side } = plan[lost % plan.length] as (typeof plan)[number];
      const struck = await this.loseOne(kind, side);
      if (!struck) continue;
      lost += 1;
      this.count(`COMMIT of ${kind} lost ${side === 'before' ? 'on its way there' : 'on its way back'}`);
    }
  }

  /** One reset for each message that the API sends to its database for one payment, in place of that message. */
  async resetAtEachMessage(rail: 'bank' | 'ledger'): Promise<void> {
    for (let n = 1; n < messagesMax; n += 1) {
      const { cuts: before } = this.link;
      this.link.resetAtMessage(n);
      await this.callers.send([this.payment(rail)]);
      await this.link.heal();
      // That many messages it did not take.
      if (this.link.cuts === before) return;
      this.count(`F29 reset at a message, rail ${rail}`);
    }
    throw new Error(`a payment takes more than ${messagesMax} messages`);
  }

  /** @returns whether there was such a COMMIT to be lost */
  private async loseOne(kind: Transaction, side: 'before' | 'after'): Promise<boolean> {
    const size = this.random.one(sizes);
    const rail = kind === 'T1, rail ledger' || kind === 'T1, refund' ? 'ledger' : 'bank';
    let wishes: Wish[] = Array.from({ length: size }, () => this.payment(rail));
    if (kind === 'T1, refund') {
      const paid = (await this.callers.send(wishes)).flatMap(end => paidIn(end) ?? []);
      wishes = paid.map(id => ({ payment_id: id, amount: this.random.between(1, 1_000) }));
    }
    const before = this.link.cuts;
    this.link.cutCommit(side, { nth: size > 2 ? 2 : 1, which: transactions[kind] });
    await this.callers.send(wishes);
    await this.link.heal();
    return this.link.cuts > before;
  }

  private payment(rail: 'bank' | 'ledger'): Wish {
    // On rail bank dee is declined: what a lost COMMIT may not do is give the funds back twice, or not at all.
    const to = rail === 'bank' && this.random.chance(0.2) ? 'dee' : 'sam';
    return { to, rail, amount: this.random.between(1_000, 9_999) };
  }

  private count(what: string): void {
    this.seen[what] = (this.seen[what] ?? 0) + 1;
  }
}

function has(words: string) {
  return (statements: string[]) => statements.some(text => text.toLowerCase().includes(words));
}

function opens(statements: string[]): boolean {
  return has('insert into payments')(statements) || has('insert into refunds')(statements);
}
