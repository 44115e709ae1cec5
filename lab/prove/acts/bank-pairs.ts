import { bankKillPoints, type BankKillPoint } from './bank-kill-points.js';
import { bankModes, type BankMode, type PairEnd, type SceneName } from './bank-modes.js';

/** One square of the matrix: the bank misbehaves like this, and whoever holds the payment dies there. */
export interface BankPair {
  /** Also the beginning of its payments' references: `f49-k4p-0`. */
  readonly name: string;
  readonly mode: BankMode;
  readonly point: BankKillPoint;
  readonly round: number;
  readonly end: PairEnd;
  /** Charges in the bank's books when all is over. */
  readonly charges: number;
  /** Its holder dies of it alone; else one death hits every pair of its kill point. */
  readonly isAlone: boolean;
}

/** Every pair that can be, in a fixed order: kill points change fastest, so that neighbours differ. */
export function pairsOf(scene: SceneName, round: number): BankPair[] {
  const modes = bankModes.filter(mode => mode.scene === scene);
  return modes.flatMap(mode =>
    bankKillPoints
      .filter(point => mode.leftOut?.(point) === undefined)
      .map(point => ({
        name: `${mode.id}-${point.id}-${round}`.toLowerCase().replaceAll(' ', ''),
        mode,
        point: atItsEnd(mode, point),
        round,
        end: mode.end,
        charges: chargesOf(mode, point),
        isAlone: isAlone(mode, point),
      })),
  );
}

/** What a decline or a contradiction ends with is committed elsewhere than a payment. */
function atItsEnd(mode: BankMode, point: BankKillPoint): BankKillPoint {
  if (point.id !== 'K8') return point;
  if (mode.end === 'declined') {
    return { ...point, strike: { by: 'event', faultPoint: 'committed@funds_reserved' } };
  }
  return mode.end === 'parked' ? { ...point, leaves: 'transfer_sent' } : point;
}

/** Whose line to the bank is its own, or who would be held up by a question on the way to the last one. */
function isAlone(mode: BankMode, point: BankKillPoint): boolean {
  if (mode.bankUrls || mode.scene === 'outage') return true;
  return point.id === 'K8' && (mode.end === 'declined' || mode.id === 'F60' || mode.id === 'F64');
}

function chargesOf(mode: BankMode, { id }: BankKillPoint): number {
  if (mode.scene === 'charging twice') return 2;
  if (mode.end === 'declined') return 0;
  // Past the bank's memory what was never sent is not sent either: it cannot be told from what was.
  return mode.id === 'F59' && id === 'K2p' ? 0 : 1;
}

/** The whole table in plain text, with what each pair has to end as, and why some cannot be. */
export function pairsToText(): string[] {
  const reasons: string[] = [];
  const rows = bankModes.map(mode => {
    const cells = bankKillPoints.map(point => {
      const why = mode.leftOut?.(point);
      if (why === undefined) return mode.end;
      if (!reasons.includes(why)) reasons.push(why);
      return `- (${reasons.indexOf(why) + 1})`;
    });
    return [mode.id, mode.what, ...cells];
  });
  const table = [['', 'the bank …', ...bankKillPoints.map(({ id }) => id)], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(...table.map(row => row[column]?.length ?? 0))) ?? [];
  return [
    ...table.map(row =>
      row
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    ),
    ...reasons.map((why, index) => `(${index + 1}) ${why}`),
  ];
}
