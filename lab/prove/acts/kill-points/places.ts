import type { RecoveryPoint } from '../../database-witness.js';

/** Whoever has the payment in hand when it dies. */
export type Holder = 'request' | 'completer';

/** How the process is met at exactly that place. */
export type Strike =
  /** It kills itself when its engine says so, before the next statement. */
  | { readonly by: 'event'; readonly point: string }
  /** The bank holds its request: read and nothing written, or carried out and not answered. */
  | { readonly by: 'bank'; readonly at: 'before' | 'after' }
  /** Its COMMIT is withheld, or the server's answer to it. */
  | { readonly by: 'commit'; readonly side: 'before' | 'after' }
  /** So many bytes of the answer reach the caller. */
  | { readonly by: 'answer'; readonly bytes: (length: number) => number };

/** What is asked for: paid by the other bank, declined by it, paid within our own books, or given back there. */
export type Wish = 'paid' | 'declined' | 'ledger' | 'refund';

/** A place where a process can die: a line of the table of kill points in the design. */
export interface Place {
  readonly id: string;
  /** The line as it is counted: K1 has three places, K7 one on each side of each COMMIT. */
  readonly family: string;
  /** The row of the fault catalogue, where an API dies; for a completer it is F87 everywhere. */
  readonly fault: string;
  /** The last recovery point before the crash. */
  readonly stage: 'started' | 'funds_reserved' | 'transfer_sent';
  readonly strike: Strike;
  /** What the dead holder has made true, as the history of the key has it. `null`: nothing at all. */
  readonly leaves: RecoveryPoint | null;
  /** Whether the bank has booked a transfer by then. */
  readonly isCharged: boolean;
  readonly wishes: readonly [Wish, ...Wish[]];
  readonly holders: readonly Holder[];
  /** In a transaction, and so in a batch: it hits whoever shares it. */
  readonly isShared: boolean;
  /** How often it is met at the gate, for each holder. */
  readonly times: number;
}

const at = (point: string): Strike => ({ by: 'event', point });
const bank = (moment: 'before' | 'after'): Strike => ({ by: 'bank', at: moment });
const commit = (side: 'before' | 'after'): Strike => ({ by: 'commit', side });
const answer = (bytes: (length: number) => number): Strike => ({ by: 'answer', bytes });

type Line = readonly [id: string, strike: Strike, leaves: Place['leaves'], times: number];
type Common = Pick<Place, 'stage' | 'wishes' | 'holders'> & { readonly isCharged?: boolean };

/** Before T1 there is nothing to take over, and only a request writes an answer. */
const requests = ['request'] as const;
const both = ['request', 'completer'] as const;

const reserved = 'funds_reserved';
const sent = 'transfer_sent';

const faults: Readonly<Record<string, string>> = {
  ...{ K0: 'F01', K1: 'F02', K2: 'F03', K3: 'F04', K4: 'F05' },
  ...{ K5: 'F06', K6: 'F07', K7: 'F08', K8: 'F09', K9: 'F10' },
};

/**
 * In the order of a payment's life. Twenty of each fault point, by both holders together; of what has several sides, twenty
 * of all of them together.
 */
export const places: readonly Place[] = [
  ...lines({ stage: 'started', wishes: ['paid', 'ledger', 'refund'], holders: requests }, [
    ['K0', at('boarding'), null, 20],
    ['K1 claimed', at('keys_claimed'), null, 20],
    ['K1 books', at('books_opened'), null, 20],
    ['K1 recorded', at('outcomes_recorded'), null, 20],
    ['K7 T1 before', commit('before'), null, 4],
  ]),
  ...lines({ stage: 'started', wishes: ['paid'], holders: requests }, [
    ['K7 T1 after', commit('after'), reserved, 4],
  ]),
  ...lines({ stage: 'started', wishes: ['ledger', 'refund'], holders: requests }, [
    ['K7 T1 ledger after', commit('after'), 'finished', 4],
    ['K8 ledger', at('committed'), 'finished', 4],
  ]),
  ...lines({ stage: reserved, wishes: ['paid'], holders: both }, [
    ['K2p', at('call_begins'), reserved, 12],
    ['K3p', bank('before'), reserved, 12],
  ]),
  ...lines({ stage: reserved, wishes: ['paid'], holders: both, isCharged: true }, [
    ['K4p', bank('after'), reserved, 8],
    ['K5p', at('call_ended'), reserved, 8],
    ['K6 T2', at('outcomes_recorded'), reserved, 8],
    ['K7 T2 before', commit('before'), reserved, 3],
    ['K7 T2 after', commit('after'), sent, 3],
  ]),
  ...lines({ stage: reserved, wishes: ['declined'], holders: both }, [
    ['K4p declined', bank('after'), reserved, 4],
    ['K5p declined', at('call_ended'), reserved, 4],
    ['K6 T2 declined', at('outcomes_recorded'), reserved, 4],
    ['K7 T2 declined before', commit('before'), reserved, 2],
    ['K7 T2 declined after', commit('after'), 'finished', 2],
    ['K8 declined', at('committed'), 'finished', 4],
  ]),
  ...lines({ stage: sent, wishes: ['paid'], holders: both, isCharged: true }, [
    ['K2q', at('call_begins'), sent, 12],
    ['K3q', bank('before'), sent, 12],
    ['K4q', bank('after'), sent, 12],
    ['K5q', at('call_ended'), sent, 12],
    ['K6 T3', at('outcomes_recorded'), sent, 12],
    ['K7 T3 before', commit('before'), sent, 3],
    ['K7 T3 after', commit('after'), 'finished', 3],
    ['K8', at('committed'), 'finished', 9],
  ]),
  ...lines({ stage: sent, wishes: ['paid'], holders: requests, isCharged: true }, [
    ['K9 1 byte', answer(() => 1), 'finished', 7],
    ['K9 half', answer(length => Math.floor(length / 2)), 'finished', 7],
    ['K9 all but 1', answer(length => length - 1), 'finished', 7],
  ]),
];

function lines({ isCharged = false, ...common }: Common, all: readonly Line[]): Place[] {
  return all.map(([id, strike, leaves, times]) => ({
    id,
    family: id.split(' ')[0] ?? id,
    fault: faults[id.slice(0, 2)] ?? id,
    ...common,
    strike,
    leaves,
    isCharged,
    // K8 as well: what was committed together is told apart, one after the other, and here to nobody.
    isShared: /^K[01678]/.test(id),
    times,
  }));
}

/**
 * How often a place is met in a run that is a multiple of the gate's. The events before the first COMMIT twice as often:
 * all others are met by both holders or in the bank's matrix as well, and each is to be met two hundred times.
 */
export function timesAt({ stage, strike, times }: Place, multiple: number): number {
  const isMetHereOnly = stage === 'started' && strike.by === 'event';
  return times * (isMetHereOnly && multiple > 1 ? 2 * multiple : multiple);
}

export function faultOf({ fault }: Place, holder: Holder): string {
  return holder === 'completer' ? 'F87' : fault;
}
