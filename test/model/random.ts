import type { Fate } from './bank.js';
import { drawingFrom } from './draw.js';
import { whatIsBroken } from './invariants.js';
import type { Errand } from './life.js';
import { Pasts } from './past.js';
import { inWords, whyItNeverEnds } from './search.js';
import type { Forgotten } from './store.js';
import { happen } from './happen.js';
import { whatMayHappen, type Happening } from './happenings.js';
import { beginning, type World } from './world.js';

/** What one schedule came to. The same seed always comes to the same. */
export interface Run {
  readonly seed: number;
  readonly broken: string | null;
  readonly way: readonly string[];
  readonly world: World;
}

const stepsMax = 120;

/**
 * How likely each is, beside the others that may happen at that moment. Most of the time everybody goes on: where
 * faults came at every step, nothing would ever get far enough to go wrong in an interesting way.
 */
const weights: Readonly<Record<Happening['what'], number>> = {
  begins: 4,
  statement: 20,
  'bank answers': 10,
  settles: 4,
  timer: 2,
  'late arrives': 2,
  crash: 1,
  cut: 1,
  'committed and cut': 4,
  'answer lost': 2,
  'bank fails': 2,
  late: 2,
  'not sent': 2,
  'lease ends': 1,
  'answers expire': 1,
  'bank forgets': 2,
};

/**
 * One schedule, drawn from a seed: more lives, keys, faults and time than a search can go through, for as long as the
 * allowance lasts. Then everything takes its course, and has to end (I5).
 */
export async function runAtRandom(seed: number, forgotten?: Forgotten): Promise<Run> {
  const draw = drawingFrom(seed);
  const upTo = (max: number) => Math.floor(draw() * (max + 1));
  const fate =
    (['settles', 'settles', 'returns', 'declines'] as const satisfies Fate[])[upTo(3)] ?? 'settles';
  const keys = draw() < 0.7 ? ['k1'] : ['k1', 'k2'];
  const rules = { keys, pasts: new Pasts(false), isOrderly: false, forgotten };
  let world = beginning(
    {
      pay: 1 + upTo(3),
      sweep: upTo(2),
      cancel: upTo(2),
      reap: upTo(1),
      atOnce: 2 + upTo(2),
      crash: upTo(2),
      impatient: upTo(2),
      cut: upTo(1),
      bankFault: upTo(2),
      leaseEnds: upTo(3),
      answersExpire: upTo(1),
      bankForgets: draw() < 0.1 ? 1 : 0,
    },
    fate,
  );
  const way: string[] = [];
  for (let steps = 0; steps < stepsMax; steps += 1) {
    const happening = pick(whatMayHappen(world, rules), draw);
    if (!happening) break;
    const [by, before] = [together(happening, keys, draw), world];
    const next = await happen(world, by, rules);
    if (!next) continue;
    way.push(inWords(by, before));
    world = next;
    const broken = whatIsBroken(before, world);
    if (broken !== null) return { seed, broken, way, world };
  }
  const broken = await whyItNeverEnds(world, rules);
  return { seed, broken, way, world };
}

/** Some requests reach one process at the same moment, and share its transactions. */
function together(happening: Happening, keys: readonly string[], draw: () => number): Happening {
  if (happening.what !== 'begins' || happening.errand.does !== 'pay' || draw() < 0.7) return happening;
  const errand: Errand = { ...happening.errand, keys: [...happening.errand.keys, ...keys] };
  return { ...happening, errand };
}

function pick(happenings: readonly Happening[], draw: () => number): Happening | undefined {
  const total = happenings.reduce((sum, { what }) => sum + weights[what], 0);
  let left = draw() * total;
  return happenings.find(({ what }) => (left -= weights[what]) < 0);
}
