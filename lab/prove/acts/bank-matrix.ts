import type { Act, ActResult, Stage } from '../act.js';
import { bankKillPoints } from './bank-kill-points.js';
import { bankModes, type SceneName } from './bank-modes.js';
import { pairsToText } from './bank-pairs.js';
import { playBankScene } from './play-bank-scene.js';

/** How often each pair is tried. */
const roundsOf = { gate: 1, long: 50 } as const;

/**
 * Lists whose scenes are played one after the other, and that take their course side by side. Where there are many
 * rounds, the outages, in which everybody mostly waits for leases, are shared between two worlds of their own.
 */
const courses: Readonly<Record<Stage['scale'], readonly (readonly SceneName[])[]>> = {
  gate: [['ordinary', 'outage', 'past its memory', 'charging twice']],
  long: [['ordinary', 'past its memory', 'charging twice'], ['outage'], ['outage']],
};

/**
 * Every misbehaviour of the bank (F49 to F66) crossed with every place at which the holder of a bank payment can die. The
 * bank misbehaves towards one payee, the API that holds his payment is killed at the point, comes back, and the caller
 * asks on with the same key. Then every checker judges, and each pair has an end of its own besides.
 *
 * Where to look: bank-modes.ts and bank-kill-points.ts are the two sides of the table, strike-pair.ts kills,
 * play-bank-scene.ts does it for all pairs that can share a world, judge-pairs.ts says what each had to come to.
 */
export const bankMatrix: Act = {
  name: 'bank-matrix',
  about: 'each misbehaviour of the bank at each kill point',
  perform,
};

async function perform({ seed, scale, say }: Stage): Promise<ActResult> {
  const rounds = roundsOf[scale];
  for (const line of pairsToText()) say(line);
  const violations: ActResult['violations'][number][] = [];
  const counts: Record<string, number> = {};
  const toTheEndMs: number[] = [];
  let operations = 0;
  let requests = 0;
  const play = async (name: SceneName, part: readonly number[]) => {
    const played = await playBankScene(name, { seed, rounds: part, say });
    violations.push(...played.violations);
    say(`${name}: everything has ended and is judged, violations: ${played.violations.length}`);
    for (const [what, times] of Object.entries(played.counts)) counts[what] = (counts[what] ?? 0) + times;
    toTheEndMs.push(...played.toTheEndMs);
    operations += played.struck.length + (played.counts['tries that met nobody'] ?? 0);
    requests += played.requests;
  };
  await Promise.all(
    courses[scale].map(async (names, index) => {
      for (const name of names) await play(name, partOf(name, index, scale));
    }),
  );
  return {
    name: bankMatrix.name,
    violations,
    operations,
    requests,
    counts,
    wanted: wantedIn(rounds),
    timesMs: { 'from the kill to the end': toTheEndMs },
  };
}

/** The rounds of a scene that are played in this course: every second one, say, where two courses have it. */
function partOf(name: SceneName, course: number, scale: Stage['scale']): number[] {
  const having = [...courses[scale].keys()].filter(each => courses[scale][each]?.includes(name));
  const nth = having.indexOf(course);
  return Array.from({ length: roundsOf[scale] }, (_, round) => round).filter(
    round => round % having.length === nth,
  );
}

/** Every pair as often as asked; each mode and each point in as many of them as the table has. */
function wantedIn(rounds: number): Record<string, number> {
  const canBe = bankModes.map(mode => bankKillPoints.filter(point => mode.leftOut?.(point) === undefined));
  const pairs = canBe.flat();
  return {
    pairs: pairs.length * rounds,
    ...Object.fromEntries(
      bankKillPoints.map(point => [
        `kill at ${point.id}`,
        pairs.filter(each => each === point).length * rounds,
      ]),
    ),
    // Where an answer is never asked for again, what was to befall it befalls nobody.
    ...Object.fromEntries(
      bankModes.map((mode, index) => [
        `bank ${mode.id}`,
        Math.ceil(((canBe[index]?.length ?? 0) * rounds) / 2),
      ]),
    ),
    parked: rounds,
    'answer 402 declined_by_bank': rounds,
    'taken over': rounds,
    'differences reported': canBe[bankModes.findIndex(({ id }) => id === 'F58')]?.length ?? 0,
  };
}
