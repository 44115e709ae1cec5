import { defaultBackoff, type Backoff } from '../src/policy/backoff.js';
import type { RetryPrices } from '../src/policy/retry-budget.js';
import { figuresOf, type Figures } from './figures.js';
import { outages, type Outage, type OutageName } from './outages.js';
import { policies, type Policy, type PolicyName } from './policies.js';
import { settingFor, simulate, type Run, type Setting } from './simulate.js';

export interface Storm {
  readonly outage: OutageName;
  readonly policy: PolicyName;
  readonly figures: Figures;
}

/** Every policy in every outage. */
export function storms(setting: Setting, only: readonly OutageName[]): Storm[] {
  const names = Object.keys(policies) as PolicyName[];
  return only.flatMap(outage =>
    names.map(policy => {
      return { outage, policy, figures: figuresOf(simulate(setting, policies[policy], outages[outage])) };
    }),
  );
}

export interface Ladder {
  readonly name: string;
  /** Of the calls hurt by a blip of so many seconds, the share that ended well. */
  readonly healed: readonly { readonly seconds: number; readonly share: number }[];
  /** After connections were lost: sends in the busiest 10 ms, retries, and the share of the calls hurt that ended well. */
  readonly wave: number;
  readonly retries: number;
  readonly healedOfLost: number;
}

const blipSeconds = [0.2, 0.5, 1, 2];

const steps: [attemptsMax: number, backoff: Partial<Backoff>][] = [
  [4, { jitter: 'none' }],
  [4, { jitter: 'equal' }],
  [4, { jitter: 'decorrelated' }],
  [4, { jitter: 'full' }],
  [4, { jitter: 'full', baseMs: 50 }],
  [4, { jitter: 'full', baseMs: 200 }],
  [3, { jitter: 'full' }],
  [6, { jitter: 'full' }],
];

/** What the steps of the backoff bridge, and how well they spread who comes back. Without a budget: only the waits. */
export function ladders(setting: Setting): Ladder[] {
  return steps.map(([attemptsMax, part]) => {
    const backoff = { ...defaultBackoff, ...part };
    const policy: Policy = {
      ...policies['full jitter'],
      limits: { ...policies['full jitter'].limits, attemptsMax },
      backoff,
    };
    const figures = (outage: Outage) => figuresOf(simulate(setting, policy, outage));
    const lost = figures(outages['lost-connections']);
    return {
      name: `${backoff.jitter}, ${backoff.baseMs} ms, ${attemptsMax} attempts`,
      healed: blipSeconds.map(seconds => {
        const { healed } = figures({ ...outages.blip, lastsMs: seconds * 1_000 });
        return { seconds, share: healed ?? 1 };
      }),
      wave: lost.busiest10Ms,
      retries: lost.retries,
      healedOfLost: lost.healed ?? 1,
    };
  });
}

/** Budgets to compare. */
const budgets: Record<string, Partial<RetryPrices> | null> = {
  'no budget': null,
  'the default (500; 5, 10)': {},
  'AWS since 2026 (500; 14, 14)': { retryCost: 14, timeoutRetryCost: 14 },
  'capacity 100 (100; 5, 10)': { capacity: 100 },
};

export interface Promised {
  readonly budget: string;
  /** Retries for each call, where a process makes so many calls in the outage, or so many requests fail. */
  readonly extra: readonly { readonly of: number; readonly share: number; readonly endedWell: number }[];
}

const callsInOutage = [10, 30, 60, 100, 300, 1_000, 3_000];

/** What a budget lets an outage cost in extra load, by how many calls a process makes while it lasts. */
export function totalOutages(seed: number, kind: 'refuses' | 'black-hole'): Promised[] {
  // It is never over: what is sent once the server is back is another question.
  const outage = { ...outages[kind], watchMs: 0 };
  return withEachBudget(callsInOutage, (calls, policy) => {
    // So many processes that all columns rest on about as many calls.
    const clients = Math.max(4, Math.ceil(6_000 / calls));
    const betweenCallsMs = outage.lastsMs / calls;
    return simulate({ ...settingFor(clients, seed), betweenCallsMs, quietMs: 0 }, policy, outage);
  });
}

const failingShares = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9];

/** What a budget lets a server cost that fails for a share of the requests only, for a quarter of an hour. */
export function partialOutages(seed: number): Promised[] {
  // Enough workers for every retry, so that nothing else fails.
  const setting = { ...settingFor(20, seed), server: { workers: Infinity, serviceMs: 50 }, quietMs: 0 };
  return withEachBudget(failingShares, (failing, policy) =>
    simulate(setting, policy, {
      tells: 'It answers 503 to a share of the requests.',
      lastsMs: 900_000,
      watchMs: 0,
      condition: () => ({ kind: 'patchy', failing }),
    }),
  );
}

function withEachBudget(values: readonly number[], run: (value: number, policy: Policy) => Run): Promised[] {
  return Object.entries(budgets).map(([budget, prices]) => ({
    budget,
    extra: values.map(of => {
      const { retries, calls, endedWell } = figuresOf(
        run(of, { ...policies['full jitter'], budget: prices }),
      );
      return { of, share: retries / calls, endedWell: endedWell / calls };
    }),
  }));
}
