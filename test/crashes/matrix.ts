import { checkMoney } from '../support/invariants.js';
import { crash } from './crash.js';
import { CrashLane } from './crash-lane.js';
import { cells, killPoints, recoveries, type Cell, type Holder, type KillPoint } from './kill-points.js';
import { recover, repeatTwice } from './recover.js';

/** Crashes that are tried at once, each in a world of its own: most of the time, one of them waits for a lease. */
const lanesMax = 3;

export interface Result {
  /** `null`: there was nothing to recover for those who were to. */
  recoveredInMs: number | null;
  evidence: string;
}

/** Tries every cell, several at once. */
export class Matrix {
  /** What each cell came to; it rejects with what went wrong there. */
  readonly results = new Map<Cell, PromiseWithResolvers<Result>>();
  /** What was seen of the money while it all went on. */
  readonly watched = { reads: 0, violations: [] as object[] };
  private readonly left: Cell[];
  private running: Promise<void> | undefined;

  constructor(chosen: readonly Cell[] = cells) {
    this.left = [...chosen];
    for (const cell of chosen) {
      const result = Promise.withResolvers<Result>();
      // Each is awaited by its own test, later.
      result.promise.catch(() => undefined);
      this.results.set(cell, result);
    }
  }

  start(): void {
    const lanes = Array.from({ length: lanesMax }, (_, index) => this.work(index));
    this.running = Promise.all(lanes).then(() => undefined);
    this.running.catch(() => undefined);
  }

  /** @throws what kept a lane from being opened or closed: that is the harness, not the service */
  async finished(): Promise<void> {
    await this.running;
  }

  /** Stops taking up cells. */
  async stop(): Promise<void> {
    this.left.length = 0;
    await this.running;
  }

  private async work(laneNumber: number): Promise<void> {
    let lane: CrashLane | undefined;
    let tried = 0;
    for (let cell = this.left.shift(); cell; cell = this.left.shift()) {
      const result = this.results.get(cell);
      try {
        lane ??= await CrashLane.open();
        tried += 1;
        result?.resolve(await tryCell(lane, cell, `lane${laneNumber}-${tried}`));
      } catch (error) {
        result?.reject(error);
        // What went wrong there must not be taken for a failure of the next.
        const broken = lane;
        lane = undefined;
        if (broken) await this.close(broken);
      }
    }
    if (lane) await this.close(lane);
  }

  private async close(lane: CrashLane): Promise<void> {
    const { reads, violations } = await lane.close();
    this.watched.reads += reads;
    this.watched.violations.push(...violations);
  }
}

async function tryCell(lane: CrashLane, cell: Cell, name: string): Promise<Result> {
  const crashed = await crash(lane, cell, name);
  for (const { key, amount } of crashed.orders) await expectLeft(lane, cell.point, { key, amount });
  const recoveredInMs = await recover(lane, cell, crashed);
  await lane.pauseCompleter();

  const statuses = await repeatTwice(lane, crashed);
  const expected = cell.point.payee === 'dee' ? 402 : 200;
  if (crashed.orders.some((_, index) => statuses[index] !== expected)) {
    throw new Error(`ended as ${statuses.join(', ')} instead of ${expected}`);
  }
  const violations = await lane.violations();
  if (violations.length > 0) throw new Error(`broken:\n${JSON.stringify(violations, null, 2)}`);
  return { recoveredInMs, evidence: crashed.evidence };
}

/** The kill was where it was meant to be: our row, the transfer and the bank's books are as that place leaves them. */
async function expectLeft(
  lane: CrashLane,
  { leaves }: KillPoint,
  { key, amount }: { key: string; amount: number },
): Promise<void> {
  const row = await lane.keyRow(key);
  const charges = row?.payment_id ? await lane.bank.charges(row.payment_id) : [];
  const isUnderway = leaves.row === 'funds_reserved' || leaves.row === 'transfer_sent';
  const seen = {
    row: row?.recovery_point ?? null,
    pending: row?.pending ?? 0,
    charges: charges.map(charge => `${charge.amount} ${charge.currency}`),
  };
  const expected = {
    row: leaves.row,
    pending: isUnderway ? 1 : 0,
    charges: leaves.charges === 1 ? [`${amount} GBP`] : [],
  };
  if (JSON.stringify(seen) !== JSON.stringify(expected)) {
    throw new Error(`the crash left ${JSON.stringify(seen)}, not ${JSON.stringify(expected)}`);
  }
  const violations = await checkMoney(lane.sql);
  if (violations.length > 0) throw new Error(`after the crash: ${JSON.stringify(violations)}`);
}

type Ends = ReadonlyMap<Cell, Result | Error>;

/** The whole matrix in plain text: ok and the time to recover, if there was any need to; `-`: there is no such cell. */
export function matrixToText(ends: Ends): string {
  const holders: Holder[] = ['request', 'completer'];
  const columns = holders.flatMap(holder => recoveries.map(recovery => ({ holder, recovery })));
  const head = [
    ['died:', '', ...columns.map(({ holder }) => holder)],
    ['recovered by:', '', ...columns.map(({ recovery }) => recovery)],
  ];
  const body = killPoints.map(point => [
    point.id,
    point.where,
    ...columns.map(({ holder, recovery }) => {
      for (const [cell, end] of ends) {
        if (cell.point !== point || cell.holder !== holder || cell.recovery !== recovery) continue;
        if (!('recoveredInMs' in end)) return 'FAILED';
        const time = end.recoveredInMs === null ? 'nothing to do' : `${Math.round(end.recoveredInMs)} ms`;
        return `ok ${time}${cell.payments > 1 ? ` (${cell.payments})` : ''}`;
      }
      return '-';
    }),
  ]);
  const rows = [...head, ...body];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map(row =>
    row
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return lines.join('\n');
}
