import type { BankFault } from '../fault.js';
import type { BankKillPoint } from './bank-kill-points.js';

/** How a payment has to end. Parked: for a person, and only where nobody could know better. */
export type PairEnd = 'paid' | 'declined' | 'parked';

/**
 * In what world a mode is met: `ordinary`; in an `outage`, when nobody reaches the bank; `past its memory`, when
 * nothing that may have been sent may be sent again; or `charging twice`, which spoils the books for everybody else.
 */
export type SceneName = 'ordinary' | 'outage' | 'past its memory' | 'charging twice';

export interface PlannedFault extends BankFault {
  readonly method?: 'PUT' | 'GET';
}

/** One way in which the bank misbehaves: a row from F49 to F66 of the fault catalogue. */
export interface BankMode {
  readonly id: string;
  readonly what: string;
  readonly scene: SceneName;
  readonly end: PairEnd;
  /** What the bank is told to do to one payment. Of several variants each round takes the next. */
  readonly variants: (point: BankKillPoint, elsewhere: string) => readonly (readonly PlannedFault[])[];
  /** Why it cannot be met at a point; nothing where it can. */
  readonly leftOut?: (point: BankKillPoint) => string | undefined;
  /** Where the victim looks for the bank, in vain. */
  readonly bankUrls?: readonly string[];
}

/**
 * Once to the one who dies, or to nobody, and twice to whoever takes over, whose call then ends without knowing: so that
 * what nobody knows is recorded, too, and not only killed.
 */
const times = 3;

/** What can go wrong with any request does so with the one that is under way at the point. */
const anyCall = (...faults: readonly PlannedKind[]): BankMode['variants'] => {
  return ({ call, id }) =>
    faults.map(fault => [
      // From one call to the next the victim itself has to come: there the misbehaviour waits for the question.
      { times: id === 'K8' ? 1 : times, ...fault, ...(call === 'asks' && { method: 'GET' as const }) },
    ]);
};
type PlannedKind = Omit<BankFault, 'times'> & { readonly times?: number };

/** To every call. Where nobody waited for it once more, on a slow machine, a true answer would follow, and be right. */
const everyTime = (kind: string): PlannedKind => ({ kind, times: 0 });

const order = (kind: string, how = 1): PlannedFault => ({ kind, method: 'PUT', times: how });
const question = (kind: string, how = 1): PlannedFault => ({ kind, method: 'GET', times: how });

const ordersOnly = (why: string) => (point: BankKillPoint) =>
  point.call === 'asks' && point.id !== 'K8' ? why : undefined;

const ordinary = { scene: 'ordinary', end: 'paid' } as const;

export const bankModes: readonly BankMode[] = [
  { ...ordinary, id: 'F49', what: 'times out after charging', variants: anyCall({ kind: 'timeout_after' }) },
  { ...ordinary, id: 'F50', what: 'times out, does nothing', variants: anyCall({ kind: 'timeout_before' }) },
  {
    ...ordinary,
    id: 'F51',
    what: '500 after charging',
    variants: anyCall({ kind: 'error_after', status: 500 }),
  },
  {
    ...ordinary,
    id: 'F52',
    what: '502 or 503, does nothing',
    variants: anyCall({ kind: 'error_before', status: 503 }, { kind: 'error_before', status: 502 }),
  },
  { ...ordinary, id: 'F53', what: 'is down', scene: 'outage', variants: () => [[]] },
  { ...ordinary, id: 'F54', what: 'RST in mid-answer', variants: anyCall({ kind: 'reset_in_answer' }) },
  { ...ordinary, id: 'F55', what: 'a byte a second', variants: anyCall({ kind: 'drip', delay_ms: 1_000 }) },
  {
    ...ordinary,
    id: 'F56',
    what: '200 that cannot be read',
    variants: anyCall({ kind: 'html' }, { kind: 'empty' }, { kind: 'broken_json' }, { kind: 'huge' }),
  },
  {
    ...ordinary,
    id: 'F57',
    what: 'answers about another payment',
    end: 'parked',
    variants: anyCall(everyTime('wrong_reference'), everyTime('wrong_amount'), everyTime('wrong_currency')),
  },
  {
    ...ordinary,
    id: 'F58',
    what: 'charges twice',
    scene: 'charging twice',
    variants: () => [[order('double_charge')]],
  },
  {
    ...ordinary,
    id: 'F59',
    what: 'has forgotten the reference',
    scene: 'past its memory',
    end: 'parked',
    // Whoever would send again instead of asking is charged again.
    variants: () => [[{ kind: 'forget', times: 1 }]],
    leftOut: ({ id }) => (id === 'K8' ? 'what is finished is not asked for any more' : undefined),
  },
  {
    ...ordinary,
    id: 'F60',
    what: '"not found", though charged',
    variants: ({ call, id }) =>
      call === 'asks' && id !== 'K8'
        ? [[question('not_found', 2)]]
        : [[order('error_after'), question('not_found', id === 'K8' ? 1 : 2)]],
  },
  {
    ...ordinary,
    id: 'F60 late',
    what: 'the same, past its memory',
    scene: 'past its memory',
    variants: ({ call }) =>
      call === 'asks' ? [[question('not_found', 3)]] : [[order('error_after'), question('not_found', 3)]],
    leftOut: ({ id }) => {
      if (id === 'K2p') return 'it was never sent, so nothing is seen later: as F59 there';
      return id === 'K8'
        ? 'past the memory a question unanswered is postponed, and ended by another'
        : undefined;
    },
  },
  {
    ...ordinary,
    id: 'F61',
    what: '409, says it is at work',
    variants: ({ id }) => [[order('in_progress', id === 'K8' ? 1 : times)]],
    leftOut: ordersOnly('the bank says so to an order, never to a question'),
  },
  {
    ...ordinary,
    id: 'F62',
    what: '429 with Retry-After',
    variants: (point, elsewhere) => {
      const inAMinute = new Date(Date.now() + 60_000).toUTCString();
      return anyCall(
        { kind: 'rate_limited', retry_after: '1' },
        { kind: 'rate_limited', retry_after: inAMinute },
      )(point, elsewhere);
    },
  },
  {
    ...ordinary,
    id: 'F63',
    what: 'declines',
    end: 'declined',
    variants: () => [[order('decline')]],
    leftOut: ordersOnly('a definite decline never reaches transfer_sent'),
  },
  {
    ...ordinary,
    id: 'F64',
    what: 'declines what it has charged',
    // The order's answer is lost, the question is answered "not found", so it is sent again: and then declined.
    variants: () => [[order('error_after'), question('not_found'), order('decline_despite_charge')]],
    leftOut: ordersOnly('only who sends again hears it, and from transfer_sent on nobody does'),
  },
  {
    ...ordinary,
    id: 'F65',
    what: '307 to another host',
    variants: (point, elsewhere) => anyCall({ kind: 'redirect', location: elsewhere })(point, elsewhere),
  },
  {
    ...ordinary,
    id: 'F66',
    what: 'cannot be reached',
    // Nobody listens, there is no such host, and TLS fails: each is certain not to have sent anything.
    bankUrls: ['http://127.0.0.1:9', 'http://bank.invalid', 'https:'],
    variants: () => [[]],
    leftOut: ({ id, call }) => {
      if (id === 'K2p') return 'nothing has been asked yet: this is F53';
      if (id === 'K3p' || id === 'K4p') return 'no request reaches the bank';
      return call === 'asks' ? 'who cannot send lets go: it is never sent by the one who dies' : undefined;
    },
  },
];
