import { Random } from './random.js';
import { victims, type Victim } from './world.js';

/** One thing that goes wrong. `forMs`: how long it lasts, where it does not end by itself. */
export type Fault =
  | { readonly kind: 'kill'; readonly victim: Victim; readonly faultPoint: string | undefined }
  | { readonly kind: 'freeze'; readonly victim: Victim; readonly forMs: number }
  | { readonly kind: 'kill postgres'; readonly forMs: number }
  | { readonly kind: 'kill one backend' }
  | { readonly kind: 'restart postgres'; readonly signal: 'SIGINT' | 'SIGQUIT' }
  | { readonly kind: 'kill bank'; readonly forMs: number }
  | { readonly kind: 'lose a commit'; readonly victim: Victim; readonly side: 'before' | 'after' }
  | { readonly kind: 'reset the database'; readonly victim: Victim; readonly atMessage: number }
  | { readonly kind: 'silence the database'; readonly victim: Victim; readonly forMs: number }
  | { readonly kind: 'cut an answer'; readonly door: 'api-1' | 'api-2'; readonly afterBytes: number }
  | { readonly kind: 'close a door'; readonly door: 'api-1' | 'api-2'; readonly forMs: number }
  | {
      readonly kind: 'trouble to the bank';
      readonly how: 'reset' | 'refuse' | 'silence';
      readonly forMs: number;
    }
  | { readonly kind: 'trouble at the bank'; readonly plan: BankFault };

/** As `POST /control/faults` takes it. */
export interface BankFault {
  readonly kind: string;
  readonly times: number;
  readonly status?: number;
  readonly delay_ms?: number;
  readonly retry_after?: string;
  readonly location?: string;
}

export interface Scheduled {
  /** Milliseconds after the faults began. */
  readonly atMs: number;
  readonly fault: Fault;
}

/** Between two faults, in milliseconds: most of the time one is active, and callers still get through. */
const pauseMs = { least: 150, most: 900 };

/** Where a process kills itself, as fault-points.ts takes it: before and after each commit, and around each call. */
const faultPoints = [
  'boarding',
  'keys_claimed',
  'books_opened',
  'outcomes_recorded',
  'committed',
  'call_begins@funds_reserved',
  'call_ended@funds_reserved',
  'outcomes_recorded@funds_reserved',
  'call_begins@transfer_sent',
  'call_ended@transfer_sent',
  'outcomes_recorded@transfer_sent',
  'answered',
] as const;

/** The workers meet only what lies after T1. */
const faultPointsOfWorker = [
  'taken_over',
  'call_begins',
  'call_ended',
  'outcomes_recorded@funds_reserved',
  'outcomes_recorded@transfer_sent',
] as const;

/**
 * What the bank may do to us without breaking its own promises. Left out: a second charge, a reference forgotten, a
 * decline of what it has charged, a transfer that never settles: of those no caller can make one charge, or an end.
 */
const bankFaults: readonly BankFault[] = [
  { kind: 'timeout_before', times: 3 },
  { kind: 'timeout_after', times: 3 },
  { kind: 'error_before', times: 5, status: 503 },
  { kind: 'error_before', times: 2, status: 429 },
  { kind: 'error_after', times: 5, status: 500 },
  { kind: 'slow', times: 5, delay_ms: 300 },
  { kind: 'drip', times: 2, delay_ms: 20 },
  { kind: 'reset_in_answer', times: 4 },
  { kind: 'html', times: 2 },
  { kind: 'empty', times: 2 },
  { kind: 'broken_json', times: 2 },
  { kind: 'huge', times: 1 },
  { kind: 'redirect', times: 2, location: 'http://127.0.0.1:9/' },
  { kind: 'rate_limited', times: 3, retry_after: '1' },
  { kind: 'in_progress', times: 3 },
  { kind: 'not_found', times: 2 },
  { kind: 'decline', times: 2 },
  { kind: 'returned', times: 2 },
  { kind: 'wrong_amount', times: 1 },
  { kind: 'wrong_reference', times: 1 },
];

/** How the reasons begin for which these faults allow an operation to be parked. */
export const mayPark = ["the bank's transfer has another"];

/** The same seed and length draw the same faults at the same times. What they meet there is not in anybody's hand. */
export function drawSchedule(seed: number, lengthMs: number): Scheduled[] {
  const random = Random.of(seed, 'schedule');
  const schedule: Scheduled[] = [];
  for (let atMs = 0; ;) {
    atMs += random.between(pauseMs.least, pauseMs.most);
    if (atMs > lengthMs) return schedule;
    schedule.push({ atMs, fault: drawFault(random) });
  }
}

function drawFault(random: Random): Fault {
  const victim = random.one(victims);
  const door = random.one(['api-1', 'api-2'] as const);
  const points = victim === 'worker' ? faultPointsOfWorker : faultPoints;
  const times = random.one(['', ':2', ':5', ':20']);
  const faultPoint = random.chance(0.6) ? `${random.oneOf<string>(points)}${times}` : undefined;
  // Longer than a lease, so that somebody is taken over.
  const forMs = random.between(350, 1_200);
  return random.oneOf<Fault>([
    { kind: 'kill', victim, faultPoint },
    { kind: 'kill', victim, faultPoint },
    { kind: 'freeze', victim, forMs },
    { kind: 'freeze', victim, forMs },
    { kind: 'kill postgres', forMs: random.between(0, 500) },
    { kind: 'kill one backend' },
    { kind: 'restart postgres', signal: random.one(['SIGINT', 'SIGQUIT']) },
    { kind: 'kill bank', forMs: random.between(0, 800) },
    { kind: 'lose a commit', victim, side: random.one(['before', 'after']) },
    { kind: 'lose a commit', victim, side: random.one(['before', 'after']) },
    { kind: 'reset the database', victim, atMessage: random.between(1, 60) },
    { kind: 'silence the database', victim, forMs },
    { kind: 'cut an answer', door, afterBytes: random.between(1, 1_200) },
    { kind: 'close a door', door, forMs },
    { kind: 'trouble to the bank', how: random.one(['reset', 'refuse', 'silence']), forMs },
    { kind: 'trouble at the bank', plan: random.oneOf(bankFaults) },
    { kind: 'trouble at the bank', plan: random.oneOf(bankFaults) },
    { kind: 'trouble at the bank', plan: random.oneOf(bankFaults) },
  ]);
}
