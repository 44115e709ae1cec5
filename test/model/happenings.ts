import type { Ask, BankAsk, Errand, SqlAsk } from './life.js';
import type { Rules, World } from './world.js';

/** One thing that can happen next. */
export type Happening = Readonly<
  | { what: 'begins'; errand: Errand }
  | { what: 'statement' | 'cut' | 'committed and cut'; life: number; connection: number }
  | { what: 'bank answers' | 'answer lost' | 'bank fails' | 'late' | 'not sent'; life: number; ask: number }
  | { what: 'timer'; life: number; ask: number }
  | { what: 'crash'; life: number }
  | { what: 'late arrives'; request: number }
  | { what: 'settles' | 'lease ends' | 'answers expire' | 'bank forgets' }
>;

/** All that may happen next. A statement that has to wait is among them: trying it yields nothing. */
export function whatMayHappen({ lives, left, bank, begun }: World, { keys, isOrderly }: Rules): Happening[] {
  const happenings: Happening[] = [];
  if (lives.length < left.atOnce) {
    for (const key of keys) {
      if (left.pay > 0) begins({ life: `pay ${begun.pay}`, does: 'pay', keys: [key] });
      if (left.cancel > 0) begins({ life: `cancel ${begun.cancel}`, does: 'cancel', key });
    }
    if (left.sweep > 0) begins({ life: `sweep ${begun.sweep}`, does: 'sweep' });
    if (left.reap > 0) begins({ life: `reap ${begun.reap}`, does: 'reap' });
  }
  for (const [life, { view }] of lives.entries()) {
    // Reads beside a drive come first. Where their order may matter, the random schedules mix it.
    const asks = isOrderly ? latestConnection(view.asks) : firstOfEachConnection(view.asks);
    for (const ask of asks) {
      if (ask.kind === 'timer') ofCaller(life, ask.id);
      else if (ask.kind === 'bank') ofBank(life, ask);
      else ofDatabase(life, ask);
    }
    if (left.crash > 0) happenings.push({ what: 'crash', life });
  }
  if (bank.transfers.some(({ status }) => status === 'accepted')) happenings.push({ what: 'settles' });
  for (const request of bank.late.keys()) happenings.push({ what: 'late arrives', request });
  if (left.leaseEnds > 0) happenings.push({ what: 'lease ends' });
  if (left.answersExpire > 0) happenings.push({ what: 'answers expire' });
  // No process sleeps for a day and then goes on: see `bank forgets` below.
  if (left.bankForgets > 0 && lives.length === 0) happenings.push({ what: 'bank forgets' });
  return happenings;

  function ofCaller(life: number, ask: number) {
    if (left.impatient > 0) happenings.push({ what: 'timer', life, ask });
  }

  function begins(errand: Errand) {
    happenings.push({ what: 'begins', errand });
  }

  function ofDatabase(life: number, { connection, sent }: SqlAsk) {
    happenings.push({ what: 'statement', life, connection });
    if (left.cut === 0) return;
    happenings.push({ what: 'cut', life, connection });
    if (sent.name === 'commit') happenings.push({ what: 'committed and cut', life, connection });
  }

  function ofBank(life: number, { id: ask, request }: BankAsk & { id: number }) {
    happenings.push({ what: 'bank answers', life, ask });
    if (left.bankFault === 0) return;
    const faults = [
      'answer lost',
      'not sent',
      ...(request.method === 'PUT' ? (['late', 'bank fails'] as const) : []),
    ] as const;
    for (const what of faults) happenings.push({ what, life, ask });
  }
}

function firstOfEachConnection(asks: readonly Ask[]): Ask[] {
  const begun = new Set<number>();
  return asks.filter(ask => {
    if (ask.kind !== 'sql') return true;
    const isFirst = !begun.has(ask.connection);
    begun.add(ask.connection);
    return isFirst;
  });
}

function latestConnection(asks: readonly Ask[]): Ask[] {
  const heads = firstOfEachConnection(asks);
  const latest = Math.max(...heads.map(ask => (ask.kind === 'sql' ? ask.connection : 0)));
  return latest > 0 ? heads.filter(ask => isOn(ask, latest)) : heads;
}

export function isOn(ask: Ask, connection: number): ask is Ask & SqlAsk {
  return ask.kind === 'sql' && ask.connection === connection;
}
