import { faultOf, places, timesAt, type Holder } from './places.js';
import { planKills } from './plan.js';
import type { Extent } from './setting.js';

/** How a kill is counted as well whose victim had refunds in its hands. */
export const withRefunds = 'killed with refunds in hand';

/**
 * How often each thing has to happen, by the names under which it is counted: every line of the table, every fault
 * point, both ways of recovery after each line, and at least half of the crashes within a transaction on several
 * payments at once.
 */
export function wantedKills(holder: Holder, extent: Extent): Record<string, number> {
  const { times, most = Infinity } = extent;
  const wanted: Record<string, number> = {};
  const want = (what: string, number: number) => (wanted[what] = (wanted[what] ?? 0) + number);
  for (const place of places) {
    const { family, holders, id, isShared, stage, strike } = place;
    if (!holders.includes(holder)) continue;
    const number = Math.min(timesAt(place, times), most);
    want(faultOf(place, holder), number);
    want(`kill of a ${holder}`, number);
    want(`kill of a ${holder} at ${family}`, number);
    want(`place ${id}, ${holder}`, number);
    if (strike.by === 'event') want(`fault point ${strike.point}@${stage}, ${holder}`, number);
    want(`after ${family} of a ${holder}: repeat first`, Math.floor(number / 2));
    want(`after ${family} of a ${holder}: completer first`, Math.floor(number / 2));
    if (isShared) want(`kill of a batch at ${family} of a ${holder}`, Math.floor(number / 2));
  }
  const refunds = planKills(holder, extent).filter(({ wish }) => wish === 'refund').length;
  return { ...wanted, ...(refunds > 0 && { [withRefunds]: refunds }) };
}
