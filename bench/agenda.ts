import type { ServerName } from './child.js';
import type { LoadJob } from './load.js';
import type { BankTimes } from './pretend-bank.js';

/** What is asked of a server. Each is measured on a database that holds the same rows at the start. */
export type Situation =
  | 'spread'
  | 'bank 0 ms'
  | 'bank 50 ms'
  | 'bank 50 + 50 ms'
  | 'in flight'
  | 'million keys'
  | 'sam'
  | 'replays'
  | 'alone';

interface Planned {
  title: string;
  servers: ServerName[];
  /** How this differs from new payments between any two accounts, by as many callers as the run was told. */
  load?: Partial<Pick<LoadJob, 'connections' | 'warmUpSeconds' | 'payee' | 'keysRepeated'>>;
  /** Payments go through the other bank, which answers like this. Without it, they stay in our books. */
  bank?: BankTimes;
  /** Whether the database is looked at meanwhile, for what is in flight and on how many connections. */
  watched?: true;
}

/** Keys in the database when a measurement begins. */
export const keysStored = 10_000;
export const manyKeysStored = 1_000_000;

/**
 * Callers that wait at once, so that a thousand of their payments are in flight: some of them are always between
 * an answer and the next claim.
 */
const callersInFlight = 1_200;

/**
 * In this order, round after round: what slows the machine for a while slows neighbours, which are compared. So rail
 * bank comes right after rail ledger.
 */
export const agenda: Record<Situation, Planned> = {
  spread: { title: 'spread over 10,000 accounts', servers: ['bare', 'naive', 'classic', 'ours'] },
  'bank 0 ms': {
    title: 'rail bank, answers at once',
    servers: ['ours'],
    bank: { delayMs: 0, settleMs: 0 },
  },
  'bank 50 ms': {
    title: 'rail bank, answers after 50 ms',
    servers: ['ours'],
    bank: { delayMs: 50, settleMs: 0 },
  },
  // By the time of its first answer it has settled, but says so only when it is asked again: two calls, three phases.
  'bank 50 + 50 ms': {
    title: 'rail bank, the same, settles later',
    servers: ['ours'],
    bank: { delayMs: 50, settleMs: 50 },
  },
  'in flight': {
    title: `rail bank, 50 ms, ${callersInFlight.toLocaleString('en-GB')} callers`,
    servers: ['ours'],
    bank: { delayMs: 50, settleMs: 0 },
    // Also in a quick run: a cold process takes a second or two to get hold of so many.
    load: { connections: callersInFlight, warmUpSeconds: 3 },
    watched: true,
  },
  'million keys': { title: 'spread, 1 million keys stored', servers: ['ours'] },
  sam: { title: 'everyone pays Sam', servers: ['naive', 'classic', 'ours'], load: { payee: 'sam' } },
  replays: {
    title: 'replays of 1,000 finished keys',
    servers: ['ours'],
    load: { keysRepeated: 1_000 },
  },
  alone: { title: 'a lone client', servers: ['naive', 'classic', 'ours'], load: { connections: 1 } },
};

export const situations = Object.keys(agenda) as Situation[];

/** How long the bank gives no answer to the API that is to finish what another has abandoned: each is measured. */
export const recoveryAgenda = [
  { name: 'recovery', outageSeconds: 0, title: 'recovery of 1,000 abandoned payments' },
  { name: 'recovery after outage', outageSeconds: 5, title: 'the same, after 5 s of asking in vain' },
] as const;

export type RecoveryName = (typeof recoveryAgenda)[number]['name'];
