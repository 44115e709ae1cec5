import { setTimeout as sleep } from 'node:timers/promises';
import { startAnswerCutter } from '../support/answer-cutter.js';
import { startApi, startWorker, type ApiProcess, type RealProcess } from '../support/api-process.js';
import { lockAccounts, untilWaiting, type ForeignLock } from '../support/foreign-lock.js';
import { PostgresProxy } from '../support/postgres-proxy.js';
import type { CrashLane, Order } from './crash-lane.js';
import { commitOf, type Cell } from './kill-points.js';

/** A crash that has happened, at the very place it was meant for. */
export interface Crash {
  orders: Order[];
  /** One that went ahead to keep the road busy; where exactly it was met does not matter. */
  goneAhead: Order[];
  /** What was seen of the place: the victim's own last line, the bank's barrier, the proxy's cut. */
  evidence: string;
  /** Lets go of what the bank holds: a request that arrives after its sender has died. */
  release: () => Promise<void>;
}

/** A batch takes some time to gather: its lease must not run out meanwhile, and the bank must not seem slow. */
const patienceForBatches = { LEASE_MS: '1200', BANK_TIMEOUT_MS: '1000', BANK_REQUEST_TIMEOUT_MS: '1000' };

/**
 * How long payments may take to come to the transaction that they are to share, behind the one that went ahead. Callers
 * have to connect and to be known first. What waits inside a process cannot be seen from here; its own line tells.
 */
const gatherMs = { fromCallers: 600, fromBank: 250 };

/** How long a crash may take to come about. */
const crashWithinMs = 10_000;

/**
 * Brings payments to the place of `cell`, and kills their holder there with SIGKILL.
 *
 * @throws when it was not met exactly there: a crash somewhere else proves nothing
 */
export async function crash(lane: CrashLane, cell: Cell, name: string): Promise<Crash> {
  const { point, holder, payments } = cell;
  const proxy = point.strike.by === 'commit' ? await PostgresProxy.start(lane.database.url) : undefined;
  const orders = Array.from({ length: payments }, (_, index) => order(lane, cell, `${name}-${index}`));
  const crashing = new Crashing(lane, cell, { name, orders, proxy });
  try {
    return await (holder === 'request' ? crashing.ofRequest() : crashing.ofCompleter());
  } catch (cause) {
    // Told apart from what the service may do wrong: that is looked for afterwards.
    throw new Error(`the crash did not come about as planned: ${String(cause)}`, { cause });
  } finally {
    await crashing.tidyUp();
  }
}

let amounts = 0;

/** Each of its own amount, so that one payment's charge is never taken for another's. */
function order({ alice }: CrashLane, { point }: Cell, key: string): Order {
  amounts += 1;
  return { key, payer: alice, to: point.payee ?? 'sam', amount: 100 + (amounts % 900), rail: 'bank' };
}

interface Barrier {
  isReached: () => Promise<boolean>;
  remove: () => Promise<void>;
}

/**
 * One crash in the making. A batch is made of payments that wait behind one that went ahead: its account is locked by
 * somebody else, so its transaction stays on the road until all the others have come to the next one.
 */
class Crashing {
  private victim: RealProcess | undefined;
  private lock: ForeignLock | undefined;
  private cutter: Awaited<ReturnType<typeof startAnswerCutter>> | undefined;
  private readonly goneAhead: Order[] = [];
  private readonly orders: Order[];
  private readonly proxy: PostgresProxy | undefined;
  private readonly isBatch: boolean;

  constructor(
    private readonly lane: CrashLane,
    private readonly cell: Cell,
    private readonly plan: { name: string; orders: Order[]; proxy: PostgresProxy | undefined },
  ) {
    this.orders = plan.orders;
    this.proxy = plan.proxy;
    this.isBatch = plan.orders.length > 1;
  }

  async ofRequest(): Promise<Crash> {
    const { lane, isBatch } = this;
    const victim = await startApi(this.options());
    this.victim = victim;
    if (isBatch) this.lock = await lockAccounts(lane.database.url, 'zoe');
    // It goes ahead in T1, and between two accounts here: it never asks the bank.
    const ahead = this.ahead('ledger');
    const gathering = await this.gather();
    const meeting = await this.meeting();
    const paths = await this.pathTo(victim);
    const goAhead = async () => {
      this.goneAhead.push(ahead);
      this.send(victim, ahead);
      await untilWaiting(lane.sql);
    };
    if (isBatch && this.cell.point.stage === 'started') await goAhead();
    for (const each of this.orders) this.send(paths, each);
    if (isBatch && gathering) {
      await until(gathering.isReached, 'the payments never gathered at the bank');
      await goAhead();
      await gathering.remove();
    }
    return this.end(meeting);
  }

  async ofCompleter(): Promise<Crash> {
    const { lane, isBatch } = this;
    const point = this.cell.point.stage === 'transfer_sent' ? 'transfer_sent' : 'funds_reserved';
    if (isBatch) {
      const ahead = this.ahead('bank');
      this.goneAhead.push(ahead);
      await lane.abandon(ahead, point);
    }
    for (const each of this.orders) await lane.abandon(each, point);
    if (isBatch) this.lock = await lockAccounts(lane.database.url, 'zoe');
    const gathering = await this.gather();
    const meeting = await this.meeting();
    this.victim = startWorker({ ...this.options(), args: ['completer', '--once'] });
    if (isBatch && gathering) {
      await until(gathering.isReached, 'the payments never gathered at the bank');
      await untilWaiting(lane.sql);
      await gathering.remove();
    }
    return this.end(meeting);
  }

  async tidyUp(): Promise<void> {
    await this.lock?.release();
    await this.victim?.kill();
    this.cutter?.stop();
    this.proxy?.stop();
  }

  /** The payment that keeps the road busy, while somebody else has locked its account. */
  private ahead(rail: Order['rail']): Order {
    return { key: `${this.plan.name}-ahead`, payer: this.lane.zoe, to: 'yan', amount: 100, rail };
  }

  private options() {
    const { lane, cell, isBatch, proxy } = this;
    const { strike, stage } = cell.point;
    // The one that goes ahead passes the same place just before, unless it passes only through T1.
    const nth = isBatch && (cell.holder === 'completer' || stage === 'started') ? 2 : 1;
    return {
      databaseUrl: proxy?.url ?? lane.database.url,
      env: { ...lane.env, ...(isBatch && patienceForBatches) },
      ...(strike.by === 'event' && { faultPoint: `${strike.event}@${stage}:${nth}` }),
    };
  }

  /** Where a batch gathers: at the bank, until the road is taken, so that they all come back into one transaction. */
  private async gather(): Promise<Barrier | undefined> {
    if (!this.isBatch || this.cell.point.stage === 'started') return undefined;
    return this.raise('before');
  }

  private async meeting() {
    const meeting = await this.meet();
    // It may fail before anybody waits for it; `end` hears of that as well.
    meeting.met.catch(() => undefined);
    return meeting;
  }

  /** Sets the trap, if it is not the victim's own. @returns resolves once the victim is in it */
  private async meet(): Promise<{ met: Promise<string>; release: () => Promise<void> }> {
    const { cell, isBatch, proxy } = this;
    const { strike } = cell.point;
    const nothingHeld = () => Promise.resolve();
    switch (strike.by) {
      case 'event':
        return { met: this.killedItself(), release: nothingHeld };
      case 'bank': {
        const barrier = await this.raise(strike.at);
        const met = until(barrier.isReached, 'no request ever came to the bank').then(
          () => `held at the bank ${strike.at}`,
        );
        return { met, release: barrier.remove };
      }
      case 'commit': {
        if (!proxy) throw new Error('a COMMIT is cut by a proxy');
        const nth = isBatch && cell.holder === 'completer' && cell.point.payee !== 'dee' ? 2 : 1;
        const held = proxy.holdCommit(strike.side, { nth, which: commitOf(cell.point) });
        return { met: held.then(() => `COMMIT cut ${strike.side}`), release: nothingHeld };
      }
      case 'answer':
        return {
          met: until(() => Promise.resolve(this.cutter?.cuts === 1), 'no answer was ever cut').then(
            () => `${this.cutter?.bytesPassed} bytes passed`,
          ),
          release: nothingHeld,
        };
    }
  }

  private async killedItself(): Promise<string> {
    await until(() => Promise.resolve(this.victim !== undefined), 'there was no victim');
    await this.victim?.exited;
    const line = /fault point reached: .*/.exec(this.victim?.stderr() ?? '');
    if (!line) throw new Error(`it ended elsewhere:\n${this.victim?.stdout()}${this.victim?.stderr()}`);
    const size = this.orders.length;
    if (size > 1 && !line[0].endsWith(`batch of ${size}`)) throw new Error(`not all shared it: ${line[0]}`);
    return line[0];
  }

  /** Through the one who will cut the answer, who has to see first how long it is. */
  private async pathTo(victim: ApiProcess): Promise<{ url: string }> {
    const { strike } = this.cell.point;
    if (strike.by !== 'answer') return victim;
    this.cutter = await startAnswerCutter(victim.port);
    // Keys, amounts and payees of one length make answers of one length.
    const whole = order(this.lane, this.cell, `${this.plan.name}-w`);
    this.goneAhead.push(whole);
    const { status } = await this.lane.pay(this.cutter, whole);
    if (status !== 200) throw new Error(`the whole answer was ${status}`);
    this.cutter.bytesPassedMax = strike.bytes(this.cutter.bytesPassed);
    return this.cutter;
  }

  private send(api: { url: string }, each: Order): void {
    // The victim dies: no answer is what is expected. One that comes is written down like any other.
    this.lane.pay(api, each).catch(() => undefined);
  }

  private async raise(moment: 'before' | 'after'): Promise<Barrier> {
    const { lane, cell, orders } = this;
    const method = cell.point.stage === 'transfer_sent' ? 'GET' : 'PUT';
    const target = { at: moment, method, creditor: cell.point.payee, times: orders.length };
    const { id } = (await lane.bank.control('POST', '/barriers', target)) as { id: string };
    let isStanding = true;
    return {
      isReached: async () => {
        const seen = await lane.bank.control('GET', `/barriers/${id}?wait_ms=2000`);
        return (seen as { held: number }).held === orders.length;
      },
      remove: async () => {
        if (isStanding) await lane.bank.control('DELETE', `/barriers/${id}`);
        isStanding = false;
      },
    };
  }

  private async end({
    met,
    release,
  }: {
    met: Promise<string>;
    release: () => Promise<void>;
  }): Promise<Crash> {
    if (this.lock) {
      await sleep(this.cell.point.stage === 'started' ? gatherMs.fromCallers : gatherMs.fromBank);
      await this.lock.release();
    }
    const evidence = await within(crashWithinMs, met, () => this.victim?.stderr() ?? '');
    await this.victim?.kill();
    const exit = await this.victim?.exited;
    if (exit?.signal !== 'SIGKILL') throw new Error(`it was not killed, but ended with ${exit?.code}`);
    return { orders: this.orders, goneAhead: this.goneAhead, evidence, release };
  }
}

async function until(isTrue: () => Promise<boolean>, otherwise: string): Promise<void> {
  const end = Date.now() + crashWithinMs;
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error(otherwise);
    await sleep(5);
  }
}

async function within<T>(ms: number, promise: Promise<T>, why: () => string): Promise<T> {
  const over = new AbortController();
  const late = sleep(ms, undefined, { signal: over.signal }).then(
    () => {
      throw new Error(`the crash did not come about within ${ms} ms\n${why()}`);
    },
    () => new Promise<never>(() => undefined),
  );
  return Promise.race([promise, late]).finally(() => {
    over.abort();
  });
}
