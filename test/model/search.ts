import type { Fate } from './bank.js';
import { happen } from './happen.js';
import { whatMayHappen, type Happening } from './happenings.js';
import { whatIsBroken } from './invariants.js';
import { settings } from './life.js';
import { Pasts } from './past.js';
import { tableOf, type Forgotten } from './store.js';
import { beginning, identityOf, type Allowance, type Rules, type World } from './world.js';

export interface Scope {
  readonly keys: readonly string[];
  readonly fate: Fate;
  readonly allowance: Allowance;
  readonly forgotten?: Forgotten;
}

export interface Found {
  readonly states: number;
  readonly transitions: number;
  /** Different points that lives of the engine have come to. */
  readonly pasts: number;
  /** The shortest way to something that must never be; `null`: there is none. */
  readonly counterexample: Counterexample | null;
  /** How keys ended, over all states: that it was not about nothing. */
  readonly ends: Readonly<Record<string, number>>;
}

export interface Counterexample {
  readonly broken: string;
  readonly way: readonly string[];
}

interface Reached {
  readonly world: World;
  readonly from: Reached | null;
  readonly by: Happening | null;
}

/**
 * Goes through every state that can be reached, nearest first, so that what it finds is a shortest way. From each it
 * also asks whether the way out is open (I5): left alone, with no more faults, every key comes to its end.
 */
export async function searchAll({ keys, fate, allowance, forgotten }: Scope): Promise<Found> {
  const rules: Rules = { keys, pasts: new Pasts(true), isOrderly: true, forgotten };
  const start: Reached = { world: beginning(allowance, fate), from: null, by: null };
  const known = new Set([identityOf(start.world)]);
  const endsWell = new Set<string>();
  const ends: Record<string, number> = {};
  let transitions = 0;
  let frontier = [start];
  const found = (counterexample: Counterexample | null): Found => ({
    states: known.size,
    transitions,
    pasts: rules.pasts.count,
    counterexample,
    ends,
  });

  while (frontier.length > 0) {
    const next: Reached[] = [];
    for (const reached of frontier) {
      for (const by of whatMayHappen(reached.world, rules)) {
        const world = await happen(reached.world, by, rules);
        if (!world) continue;
        transitions += 1;
        const here: Reached = { world, from: reached, by };
        let broken = whatIsBroken(reached.world, world);
        const identity = identityOf(world);
        if (!known.has(identity)) {
          known.add(identity);
          next.push(here);
          for (const { recovery_point: end } of tableOf(world.store.rows, 'key'))
            ends[end] = (ends[end] ?? 0) + 1;
          broken ??= await whyItNeverEnds(world, rules, endsWell);
        }
        if (broken !== null) return found({ broken, way: wayTo(here) });
      }
    }
    frontier = next;
  }
  return found(null);
}

/** More than any operation needs, however often it was taken up. */
const stepsMax = 400;

/**
 * I5: lets everything take its course, without faults: whoever is alive goes on, the bank settles, and when all is
 * quiet, time passes and the completer sweeps. @returns what stays undone; `null`: every key has ended
 */
export async function whyItNeverEnds(
  world: World,
  rules: Rules,
  endsWell?: Set<string>,
): Promise<string | null> {
  const passed: string[] = [];
  let now = world;
  for (let steps = 0; steps < stepsMax; steps += 1) {
    if (endsWell) {
      const identity = identityOf(now, false);
      if (endsWell.has(identity)) break;
      passed.push(identity);
    }
    const next = await takeItsCourse(now, rules);
    if (next === null) {
      const parked = tableOf(now.store.rows, 'key').find(row => row.parked_because !== null);
      if (parked && !mayBeParked(now)) return `I5: parked: ${parked.parked_because}`;
      break;
    }
    const broken = whatIsBroken(now, next);
    if (broken !== null) return `${broken}, once it took its course`;
    if (steps === stepsMax - 1) return 'I5: it never ends';
    now = next;
  }
  for (const identity of passed) endsWell?.add(identity);
  return null;
}

/** Only what the bank may have forgotten is left to a person. */
function mayBeParked({ store }: World): boolean {
  return tableOf(store.rows, 'payment').some(row => store.now - row.created_at > settings.bankMemoryMs);
}

/** @returns `null`: nothing is left to be done */
async function takeItsCourse(world: World, rules: Rules): Promise<World | null> {
  const { lives, bank, store, begun } = world;
  if (bank.late.length > 0) return { ...world, bank: { ...bank, late: [] } };
  if (bank.transfers.some(({ status }) => status === 'accepted'))
    return happen(world, { what: 'settles' }, rules);
  const going = whatMayHappen(world, rules).filter(
    ({ what }) => what === 'statement' || what === 'bank answers',
  );
  for (const each of going) {
    const next = await happen(world, each, rules);
    if (next) return next;
  }
  if (lives.length > 0) return { ...world, broken: 'I5: everybody waits for everybody else' };
  const open = tableOf(store.rows, 'key').filter(row => row.locked_until !== null);
  if (open.length === 0) return null;
  const isDue = open.some(row => Number(row.locked_until) <= store.now);
  if (!isDue) return happen(world, { what: 'lease ends' }, rules);
  return happen(world, { what: 'begins', errand: { life: `sweep ${begun.sweep}`, does: 'sweep' } }, rules);
}

function wayTo(reached: Reached): string[] {
  const way: string[] = [];
  for (let here: Reached | null = reached; here?.by; here = here.from)
    way.unshift(inWords(here.by, here.from?.world));
  return way;
}

/** One line of a way, for a person. */
export function inWords(happening: Happening, before: World | undefined): string {
  if (happening.what === 'begins') return `${happening.errand.life} begins`;
  if (!('life' in happening)) return happening.what;
  const { errand, view } = before?.lives[happening.life] ?? {};
  const asked = view?.asks.flatMap(ask => {
    if (ask.kind === 'sql')
      return 'connection' in happening && ask.connection === happening.connection ? [ask.sent.name] : [];
    return ask.kind === 'bank' && 'ask' in happening && ask.id === happening.ask ? [ask.request.method] : [];
  });
  return `${errand?.life ?? ''}: ${happening.what} ${asked?.join(', ') ?? ''}`;
}
