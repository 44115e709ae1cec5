import { Random } from '../../random.js';
import type { Extent } from './setting.js';

/** A holder that neither dies nor goes on. */
export interface Standstill {
  readonly point: string;
  readonly recoveryPoint: 'funds_reserved' | 'transfer_sent';
  /** The line of the table of kill points that it stands still at. */
  readonly family: 'K2' | 'K5' | 'K6';
  /**
   * Stopped until its heir is done (F15), or until its heir is about to ask the bank to pay (F16); or its event loop
   * stalls for some leases (F14), and it goes on by itself.
   */
  readonly how: 'stopped' | 'woken in between' | 'stalled';
}

type Line = readonly [family: Standstill['family'], place: string, how: Standstill['how'], times: number];

const lines: readonly Line[] = [
  ['K2', 'call_begins@funds_reserved', 'stopped', 20],
  ['K2', 'call_begins@funds_reserved', 'woken in between', 20],
  ['K5', 'call_ended@funds_reserved', 'stopped', 10],
  ['K5', 'call_ended@transfer_sent', 'stopped', 10],
  ['K6', 'outcomes_recorded@funds_reserved', 'stopped', 16],
  ['K2', 'call_begins@funds_reserved', 'stalled', 5],
  ['K2', 'call_begins@transfer_sent', 'stalled', 5],
  ['K5', 'call_ended@funds_reserved', 'stalled', 5],
  ['K6', 'outcomes_recorded@funds_reserved', 'stalled', 5],
];

/** In T3 it holds the locks of two accounts, one of which is everybody's. */
const linesAlone: readonly Line[] = [['K6', 'outcomes_recorded@transfer_sent', 'stopped', 4]];

export function planStandstills(extent: Extent): { together: Standstill[]; alone: Standstill[] } {
  const random = Random.of(extent.seed, 'standstills');
  const drawn = spelledOut(lines, extent).map(each => ({ each, turn: random.next() }));
  const together = drawn.sort((one, other) => one.turn - other.turn).map(({ each }) => each);
  return { together, alone: spelledOut(linesAlone, extent) };
}

/** As they are counted: what has to be seen of them. */
export function wantedStandstills(extent: Extent): Record<string, number> {
  const wanted: Record<string, number> = {};
  for (const each of spelledOut([...lines, ...linesAlone], extent)) {
    const name = nameOf(each);
    wanted[name] = (wanted[name] ?? 0) + 1;
    // On a slow machine a stall may end before anybody has taken over; whoever was stopped was waited for.
    if (each.how === 'stopped') wanted[fencedName] = (wanted[fencedName] ?? 0) + 1;
  }
  return wanted;
}

export const fencedName = 'a late write touched no row';

export function nameOf({ family, how }: Standstill): string {
  return `${faults[how]} a holder ${how} at ${family}`;
}

const faults = { stopped: 'F15', 'woken in between': 'F16', stalled: 'F14' } as const;

function spelledOut(all: readonly Line[], { times, most = Infinity }: Extent): Standstill[] {
  return all.flatMap(([family, place, how, number]) => {
    const [point, recoveryPoint] = place.split('@') as [string, Standstill['recoveryPoint']];
    return Array.from({ length: Math.min(number * times, most) }, () => ({
      family,
      point,
      recoveryPoint,
      how,
    }));
  });
}
