import { join } from '../joined.js';
import type { Witnesses } from '../witnesses.js';
import { keyOf } from './asking.js';
import { customer } from './bank-stage.js';
import type { StruckPair } from './strike-pair.js';

/** How often each mode befell somebody, and how often a holder died at each point. */
export function countModes(
  struck: readonly StruckPair[],
  faultsStruck: Readonly<Record<string, number>>,
): Record<string, number> {
  const counts: Record<string, number> = {};
  const count = (what: string, times = 1) => (counts[what] = (counts[what] ?? 0) + times);
  for (const { pair, faultIds, misses } of struck) {
    count(`kill at ${pair.point.id}`);
    // Where nobody is reached, there is nobody to tell how often: the death itself is the evidence.
    const met = faultIds.length === 0 ? 1 : faultIds.reduce((sum, id) => sum + (faultsStruck[id] ?? 0), 0);
    count(`bank ${pair.mode.id}`, met);
    count('pairs');
    count('tries that met nobody', misses);
  }
  // Those that died together died of one kill.
  count('APIs killed', new Set(struck.map(({ diedAt, pair }) => `${pair.point.id} ${diedAt}`)).size);
  return counts;
}

/** Who took a payment over, by the name of the connection that raised its epoch. */
export function countRecoveries(struck: readonly StruckPair[], witnesses: Witnesses): Record<string, number> {
  const counts: Record<string, number> = {};
  const { history } = join(witnesses);
  for (const { name } of struck) {
    const second = history.get(`${customer} ${keyOf(name)}`)?.find(({ epoch }) => epoch === 2);
    const by = second?.writer.replace(/-\d+\.\d+$/, '') ?? 'nobody';
    const who = { api: 'who had died', survivor: 'the other API', worker: 'the completer' }[by] ?? by;
    counts[`recovered by ${who}`] = (counts[`recovered by ${who}`] ?? 0) + 1;
  }
  return counts;
}

/** One machine has one clock, the database's: those that had ended before the kill are left out. */
export function timesToTheEnd(struck: readonly StruckPair[], witnesses: Witnesses): number[] {
  const { history } = join(witnesses);
  return struck.flatMap(({ name, diedAt }) => {
    const changes = history.get(`${customer} ${keyOf(name)}`) ?? [];
    const end = changes.find(
      ({ recoveryPoint, parkedBecause }) => recoveryPoint === 'finished' || parkedBecause !== null,
    );
    return end && end.at > diedAt ? [Math.round(end.at - diedAt)] : [];
  });
}
