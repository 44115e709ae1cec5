import type { RecoveryPoint } from '../database-witness.js';

/** Which of its two calls a payment through the bank is in: the one that pays, or the one that asks about it. */
export type BankCall = 'pays' | 'asks';

/** A place where whoever holds a bank payment can die: the lines K2p to K8 of the design's third section. */
export interface BankKillPoint {
  readonly id: string;
  readonly where: string;
  readonly call: BankCall;
  readonly strike: BankStrike;
  /** What the key's row says when its holder has died there. */
  readonly leaves: RecoveryPoint;
}

export type BankStrike =
  /** It kills itself when its engine says so: see fault-points.ts. */
  | { readonly by: 'event'; readonly faultPoint: string }
  /** The bank holds its request, unread or answered, and it is killed from outside. */
  | { readonly by: 'bank'; readonly method: 'PUT' | 'GET'; readonly at: 'before' | 'after' };

const event = (faultPoint: string): BankStrike => ({ by: 'event', faultPoint });
const held = (method: 'PUT' | 'GET', at: 'before' | 'after'): BankStrike => ({ by: 'bank', method, at });

/** In the order of a payment's life. K7, the lost COMMIT, is the database's matter, and has acts of its own. */
export const bankKillPoints: readonly BankKillPoint[] = [
  ...during('pays', 'funds_reserved', [
    ['K2p', 'about to ask the bank to pay', event('call_begins@funds_reserved')],
    ['K3p', 'the bank has the order, unread', held('PUT', 'before')],
    ['K4p', 'the bank has done what it does, and not answered', held('PUT', 'after')],
    ['K5p', 'what came of the order is in memory', event('call_ended@funds_reserved')],
    ['K6 T2', 'what came of the order is written, not committed', event('outcomes_recorded@funds_reserved')],
  ]),
  ...during('asks', 'transfer_sent', [
    ['K2q', 'about to ask whether it has settled', event('call_begins@transfer_sent')],
    ['K3q', 'the bank has the question, unread', held('GET', 'before')],
    ['K4q', 'the bank has looked, and not answered', held('GET', 'after')],
    ['K5q', 'what came of the question is in memory', event('call_ended@transfer_sent')],
    [
      'K6 T3',
      'what came of the question is written, not committed',
      event('outcomes_recorded@transfer_sent'),
    ],
  ]),
  ...during('asks', 'finished', [
    ['K8', 'all is committed, and nobody told', event('committed@transfer_sent')],
  ]),
];

type Line = readonly [id: string, where: string, strike: BankStrike];

function during(call: BankCall, leaves: RecoveryPoint, lines: readonly Line[]): BankKillPoint[] {
  return lines.map(([id, where, strike]) => ({ id, where, call, strike, leaves }));
}
