import { Random } from '../../random.js';
import { places, timesAt, type Holder, type Place, type Wish } from './places.js';

/** Who comes first after a crash: its caller, who asks again at once, or the completer, while the caller waits. */
export type Recovery = 'repeat' | 'completer';

/** One crash to bring about. */
export interface Kill {
  readonly place: Place;
  readonly holder: Holder;
  readonly recovery: Recovery;
  readonly wish: Wish;
  /** How many payments are sent to the victim together. */
  readonly payments: number;
  /** So many of them have to share the batch that it dies in. */
  readonly atLeast: number;
}

/** What makes a batch likely: while the first of them is on the road, the others come together behind it. */
const batch = { payments: 4, atLeast: 2 };

/** How often each place is met, as a multiple of the gate's: each line of the table then a hundred times and more. */
export const timesOf = { gate: 1, long: 5 } as const;

/**
 * Every place as often as it is to be met, half of them for each way of recovery, in an order that the seed draws. Of
 * the places within a transaction two in three are met with a batch larger than one.
 *
 * @param most no place is met more often than this: a small run for a test
 */
export function planKills(
  holder: Holder,
  { seed, times, most = Infinity }: { seed: number; times: number; most?: number | undefined },
): Kill[] {
  const random = Random.of(seed, 'kill points', holder);
  const kills = places
    .filter(({ holders }) => holders.includes(holder))
    .flatMap(place => {
      const first = random.between(0, 5);
      return Array.from({ length: Math.min(timesAt(place, times), most) }, (_, index) =>
        planKill(place, holder, first + index),
      );
    });
  return kills
    .map(kill => ({ kill, turn: random.next() }))
    .sort((one, other) => one.turn - other.turn)
    .map(({ kill }) => kill);
}

/**
 * Halves and thirds have nothing in common: six in a row have every combination of them. The next six have them with
 * the next wish, or every second wish would always be followed by the same recovery.
 */
function planKill(place: Place, holder: Holder, nth: number): Kill {
  const isBatch = place.isShared && nth % 3 !== 0;
  // One answer is cut at a time. Elsewhere others are under way beside the one that is met.
  const alone = { payments: place.strike.by === 'answer' ? 1 : 1 + (nth % 2), atLeast: 1 };
  return {
    place,
    holder,
    recovery: nth % 2 === 0 ? 'repeat' : 'completer',
    wish: place.wishes[(nth + Math.floor(nth / 6)) % place.wishes.length] ?? place.wishes[0],
    ...(isBatch ? batch : place.isShared ? { payments: 1, atLeast: 1 } : alone),
  };
}

export const recoveries: readonly Recovery[] = ['repeat', 'completer'];
