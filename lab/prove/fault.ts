import type { Slowness } from '../../test/support/slow-line.js';
import type { Victim } from './world.js';

type Api = 'api-1' | 'api-2';

/** One thing that goes wrong. `forMs`: how long it lasts, where it does not end by itself. */
export type Fault =
  | { readonly kind: 'kill'; readonly victim: Victim; readonly reborn: Reborn }
  | { readonly kind: 'stop'; readonly victim: Victim; readonly reborn: Reborn }
  | { readonly kind: 'lights out'; readonly order: readonly (Victim | 'postgres')[] }
  | { readonly kind: 'freeze'; readonly victim: Victim; readonly forMs: number }
  | { readonly kind: 'kill the reaper'; readonly side: 'before' | 'after' }
  | { readonly kind: 'kill postgres'; readonly forMs: number }
  | { readonly kind: 'kill one backend' }
  | { readonly kind: 'end backends one by one' }
  | { readonly kind: 'restart postgres'; readonly signal: 'SIGINT' | 'SIGQUIT' }
  | { readonly kind: 'kill bank'; readonly forMs: number }
  | { readonly kind: 'lose a commit'; readonly victim: Victim; readonly side: 'before' | 'after' }
  | { readonly kind: 'reset the database'; readonly victim: Victim; readonly atMessage: number }
  | { readonly kind: 'silence the database'; readonly victim: Victim; readonly forMs: number }
  | ({ readonly kind: 'slow the database'; readonly victim: Victim; readonly forMs: number } & How)
  | { readonly kind: 'cut an answer'; readonly door: Api; readonly afterBytes: number }
  | { readonly kind: 'close a door'; readonly door: Api; readonly forMs: number }
  | ({ readonly kind: 'slow a door'; readonly door: Api; readonly forMs: number } & How)
  | ({ readonly kind: 'slow the road to the bank'; readonly forMs: number } & How)
  | {
      readonly kind: 'trouble to the bank';
      readonly how: 'reset' | 'refuse' | 'silence';
      readonly forMs: number;
    }
  | { readonly kind: 'trouble at the bank'; readonly plan: BankFault };

interface How {
  readonly how: Slowness;
}

/** What is special about the process that takes the place of a dead one. */
export interface Reborn {
  /** As fault-points.ts takes it, and what happens there. */
  readonly faultPoint?: string;
  readonly faultSignal?: 'SIGKILL' | 'STALL';
  readonly stallMs?: number;
  /** By how much its clock is wrong, and by how much it is set a moment later: milliseconds. */
  readonly clockMs?: number;
  readonly clockStepMs?: number;
  /** A completer and a reaper of its own, beside those of the worker. */
  readonly workersInside?: boolean;
}

/** As `POST /control/faults` takes it. */
export interface BankFault {
  readonly kind: string;
  readonly times: number;
  readonly status?: number;
  readonly delay_ms?: number;
  readonly retry_after?: string;
  readonly location?: string;
}

/** What it does something to. Two faults at once at one place would undo each other. */
export function placesOf(fault: Fault): readonly string[] {
  switch (fault.kind) {
    case 'kill':
    case 'stop':
    case 'freeze':
      return [fault.victim];
    case 'lights out':
      return fault.order;
    case 'kill the reaper':
      return ['worker', 'database of worker'];
    case 'kill postgres':
    case 'kill one backend':
    case 'end backends one by one':
    case 'restart postgres':
      return ['postgres'];
    case 'kill bank':
      return ['bank'];
    case 'trouble at the bank':
      // Planned in a moment, and several may be waiting for their calls.
      return ['bank'];
    case 'lose a commit':
    case 'reset the database':
    case 'silence the database':
    case 'slow the database':
      return [`database of ${fault.victim}`];
    case 'cut an answer':
    case 'close a door':
    case 'slow a door':
      return [`door of ${fault.door}`];
    case 'slow the road to the bank':
    case 'trouble to the bank':
      return ['road to the bank'];
  }
}

/** What only waits there for somebody to come by: those to whom it happens count it. */
export function isTrap({ kind }: Fault): boolean {
  return /^(lose a commit|reset the database|cut an answer|trouble at the bank|kill the reaper)$/.test(kind);
}

/** A fault in a few words, to count by. */
export function nameOf(fault: Fault): string {
  switch (fault.kind) {
    case 'kill':
    case 'stop':
    case 'freeze':
      return `${fault.kind} ${fault.victim}`;
    case 'trouble to the bank':
      return `${fault.kind}: ${fault.how}`;
    case 'trouble at the bank':
      return `${fault.kind}: ${fault.plan.kind}`;
    case 'lights out':
    case 'kill the reaper':
    case 'cut an answer':
    case 'close a door':
    case 'slow a door':
    case 'slow the database':
    case 'slow the road to the bank':
    case 'kill bank':
    case 'kill one backend':
    case 'end backends one by one':
    case 'kill postgres':
    case 'reset the database':
    case 'lose a commit':
    case 'restart postgres':
    case 'silence the database':
      return fault.kind;
  }
}
