import type { Condition } from './server.js';

/** One kind of trouble, and how long to watch what comes of it. */
export interface Outage {
  readonly tells: string;
  readonly lastsMs: number;
  /** How long to go on watching once it is over. */
  readonly watchMs: number;
  /** What the server is like as long as it lasts. */
  readonly condition: (endsAtMs: number) => Condition;
  /** The process is replaced at the end: what is under way breaks off, all at once. */
  readonly endsInRestart?: true;
  /** The server sheds load: it turns away what would wait longer than this in its queue. Left out: it never does. */
  readonly shedsBeyondMs?: number;
}

const second = 1_000;

export const outages = {
  blip: {
    tells: 'It refuses connections for half a second, as a process that restarts does.',
    lastsMs: second / 2,
    watchMs: 10 * second,
    condition: () => ({ kind: 'refuses' }),
  },
  'lost-connections': {
    tells:
      'It hangs for 2 s and is then replaced: every connection breaks at the same moment. It sheds what would wait longer than 0.1 s.',
    lastsMs: 2 * second,
    watchMs: 30 * second,
    condition: () => ({ kind: 'works', slowness: Infinity }),
    endsInRestart: true,
    shedsBeyondMs: second / 10,
  },
  refuses: {
    tells: 'It refuses connections for 60 s.',
    lastsMs: 60 * second,
    watchMs: 60 * second,
    condition: () => ({ kind: 'refuses' }),
  },
  'black-hole': {
    tells: 'It neither answers nor refuses for 60 s: attempts run into their time-outs.',
    lastsMs: 60 * second,
    watchMs: 60 * second,
    condition: () => ({ kind: 'silent' }),
  },
  unavailable: {
    tells: 'It answers 503 with `Retry-After: 5` for 60 s.',
    lastsMs: 60 * second,
    watchMs: 60 * second,
    condition: () => ({ kind: 'unavailable', retryAfterMs: () => 5 * second }),
  },
  'unavailable-until': {
    tells: 'It answers 503 for 30 s, and its `Retry-After` names the moment at which it will be back.',
    lastsMs: 30 * second,
    watchMs: 150 * second,
    condition: endsAtMs => ({ kind: 'unavailable', retryAfterMs: now => endsAtMs - now }),
  },
  'slow-down': {
    tells: 'It works ten times as slowly for 30 s, then as before.',
    lastsMs: 30 * second,
    watchMs: 150 * second,
    condition: () => ({ kind: 'works', slowness: 10 }),
  },
  'slow-down-shed': {
    tells: 'The same, but it sheds load: what would wait longer than 1 s gets 503 at once.',
    lastsMs: 30 * second,
    watchMs: 60 * second,
    condition: () => ({ kind: 'works', slowness: 10 }),
    shedsBeyondMs: second,
  },
} as const satisfies Record<string, Outage>;

export type OutageName = keyof typeof outages;
