import type { EnginePoint } from '../../src/idempotency/events.js';
import type { UnfinishedPoint } from '../../src/idempotency/operation.js';
import type { WhichCommit } from '../support/postgres-proxy.js';

/** Whoever has the payment in hand when it dies. */
export type Holder = 'request' | 'completer';
/** Who brings the payment to its end: its caller, who asks again; the completer alone; or both at once. */
export type Recovery = 'caller' | 'completer' | 'both';

/** The last recovery point before the crash. T1 leads to the second one, T2 to the third, T3 to the end. */
export type Stage = UnfinishedPoint;

/** A place where a process can die, and what it leaves behind there: a line of the table in the design's section 3. */
export interface KillPoint {
  id: string;
  where: string;
  stage: Stage;
  strike: Strike;
  /** On our side, and on the bank's. */
  leaves: { row: UnfinishedPoint | 'finished' | null; charges: 0 | 1 };
  holders: readonly Holder[];
  /** The other bank says no to this payee. */
  payee?: 'sam' | 'dee';
  /** A transaction is shared: its crash is tried on several payments, too. */
  isShared?: boolean;
}

/** How the process is met at exactly that place. */
export type Strike =
  /** It kills itself when its engine says so, before the next statement. */
  | { by: 'event'; event: EnginePoint }
  /** The bank holds its request: read and nothing written, or carried out and not answered. */
  | { by: 'bank'; at: 'before' | 'after' }
  /** Its COMMIT is withheld, or the server's answer to it. */
  | { by: 'commit'; side: 'before' | 'after' }
  /** So many bytes of the answer reach the caller. */
  | { by: 'answer'; bytes: (length: number) => number };

const both = ['request', 'completer'] as const;
/** Before T1 there is nothing to take over, and only a request writes an answer. */
const requests = ['request'] as const;

const nothing = { row: null, charges: 0 } as const;
const reserved = { row: 'funds_reserved', charges: 0 } as const;
const charged = { row: 'funds_reserved', charges: 1 } as const;
const sent = { row: 'transfer_sent', charges: 1 } as const;
const paid = { row: 'finished', charges: 1 } as const;
const declined = { row: 'finished', charges: 0 } as const;

const at = (event: EnginePoint): Strike => ({ by: 'event', event });
const held = (moment: 'before' | 'after'): Strike => ({ by: 'bank', at: moment });
const commit = (side: 'before' | 'after'): Strike => ({ by: 'commit', side });

/** In the order of a payment's life. */
export const killPoints: readonly KillPoint[] = [
  ...inStage('started', requests, [
    ['K0', 'T1 is about to begin', at('boarding'), nothing],
    ['K1 claimed', 'in T1, the key is claimed', at('keys_claimed'), nothing],
    ['K1 books', 'in T1, the accounts are locked', at('books_opened'), nothing],
    ['K1 recorded', 'in T1, all is written', at('outcomes_recorded'), nothing],
    ['K7 T1 before', 'COMMIT of T1 never arrives', commit('before'), nothing],
    ['K7 T1 after', 'COMMIT of T1 is never answered', commit('after'), reserved],
  ]),
  ...inStage('funds_reserved', both, [
    ['K2p', 'about to ask the bank to pay', at('call_begins'), reserved],
    ['K3p', 'the bank has the order, unread', held('before'), reserved],
    ['K4p', 'the bank has paid, and not answered', held('after'), charged],
    ['K5p', 'the bank’s yes is in memory', at('call_ended'), charged],
    ['K6 T2', 'in T2, all is written', at('outcomes_recorded'), charged],
    ['K7 T2 before', 'COMMIT of T2 never arrives', commit('before'), charged],
    ['K7 T2 after', 'COMMIT of T2 is never answered', commit('after'), sent],
  ]),
  ...inStage(
    'funds_reserved',
    both,
    [
      ['K4p dee', 'the bank has declined, and not answered', held('after'), reserved],
      ['K5p dee', 'the bank’s no is in memory', at('call_ended'), reserved],
      ['K6 T2 dee', 'in T2, the decline is written', at('outcomes_recorded'), reserved],
      ['K7 T2 dee before', 'COMMIT of a decline never arrives', commit('before'), reserved],
      ['K7 T2 dee after', 'COMMIT of a decline is never answered', commit('after'), declined],
      ['K8 dee', 'declined for good, nobody told', at('committed'), declined],
    ],
    'dee',
  ),
  ...inStage('transfer_sent', both, [
    ['K2q', 'about to ask whether it has settled', at('call_begins'), sent],
    ['K3q', 'the bank has the question, unread', held('before'), sent],
    ['K4q', 'the bank has looked, and not answered', held('after'), sent],
    ['K5q', 'the bank’s answer is in memory', at('call_ended'), sent],
    ['K6 T3', 'in T3, all is written', at('outcomes_recorded'), sent],
    ['K7 T3 before', 'COMMIT of T3 never arrives', commit('before'), sent],
    ['K7 T3 after', 'COMMIT of T3 is never answered', commit('after'), paid],
    ['K8', 'paid for good, nobody told', at('committed'), paid],
  ]),
  ...inStage('transfer_sent', requests, [
    ['K9 1 byte', 'one byte of the answer is through', { by: 'answer', bytes: () => 1 }, paid],
    ['K9 half', 'half of the answer is through', { by: 'answer', bytes: n => Math.floor(n / 2) }, paid],
    ['K9 all but 1', 'all but its last byte is through', { by: 'answer', bytes: n => n - 1 }, paid],
  ]),
];

type Line = readonly [id: string, where: string, strike: Strike, leaves: KillPoint['leaves']];

function inStage(
  stage: Stage,
  holders: readonly Holder[],
  lines: readonly Line[],
  payee: 'sam' | 'dee' = 'sam',
): KillPoint[] {
  return lines.map(([id, where, strike, leaves]) => ({
    id,
    where,
    stage,
    strike,
    leaves,
    holders,
    payee,
    isShared: /^K[0167]/.test(id),
  }));
}

/** One square of the matrix: a crash, and a way back. */
export interface Cell {
  point: KillPoint;
  holder: Holder;
  recovery: Recovery;
  /** Payments that the crash hits: where a transaction is shared, mostly several. */
  payments: number;
}

export const recoveries: readonly Recovery[] = ['caller', 'completer', 'both'];

export const cells: readonly Cell[] = killPoints.flatMap(point =>
  point.holders.flatMap(holder =>
    recoveries.map(recovery => ({
      point,
      holder,
      recovery,
      payments: point.isShared && recovery !== 'caller' ? 3 : 1,
    })),
  ),
);

export function nameOf({ point, holder, recovery, payments }: Cell): string {
  const several = payments > 1 ? ` and ${payments} payments` : '';
  return `${point.id}, ${point.where}: a ${holder} dies with it${several}, recovered by ${recovery}`;
}

/** Which transaction a COMMIT belongs to, by what it wrote. */
export function commitOf({ stage, payee }: KillPoint): WhichCommit {
  const isFinal = stage === 'transfer_sent' || (payee === 'dee' && stage === 'funds_reserved');
  return statements => {
    const wrote = (part: string) => statements.some(text => text.includes(part));
    const isClaim = wrote('INSERT INTO idempotency_keys');
    if (stage === 'started') return isClaim && wrote('reached.recovery_point');
    return !isClaim && wrote(isFinal ? "recovery_point = 'finished'" : 'reached.recovery_point');
  };
}
