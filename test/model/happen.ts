import { askBank, bankMemoryMs, settle } from './bank.js';
import { isOn, type Happening } from './happenings.js';
import { settings, type Ask, type BankAsk, type Input, type SqlAsk } from './life.js';
import type { Past } from './past.js';
import { dropConnections, execute, type Row, type Store } from './store.js';
import type { Rules, World } from './world.js';

/** @returns `null`: it cannot happen now, for it waits for a lock */
export async function happen(world: World, happening: Happening, rules: Rules): Promise<World | null> {
  const { store, bank, lives, left } = world;
  const { pasts } = rules;
  switch (happening.what) {
    case 'begins': {
      const { does } = happening.errand;
      const begun = { ...world.begun, [does]: world.begun[does] + 1 };
      const next = { ...world, begun, left: { ...left, [does]: left[does] - 1 } };
      return { ...next, lives: [...lives, await pasts.begin(happening.errand)] };
    }
    case 'statement':
      return runStatements(world, happening, rules);
    case 'committed and cut': {
      const done = execute(store, nameOf(world, happening), { name: 'commit', values: [] }, rules.forgotten);
      if (!done) return null;
      return happen({ ...world, store: done.store }, { ...happening, what: 'cut' }, rules);
    }
    case 'cut': {
      const name = nameOf(world, happening);
      const next = {
        ...world,
        store: dropConnections(store, each => each === name),
        left: { ...left, cut: left.cut - 1 },
      };
      return given(
        next,
        happening.life,
        [{ ask: headOf(world, happening).id, isConnectionLost: true }],
        rules,
      );
    }
    case 'timer':
      return given(
        { ...world, left: { ...left, impatient: left.impatient - 1 } },
        happening.life,
        [{ ask: happening.ask, fires: true }],
        rules,
      );
    case 'bank answers':
    case 'answer lost':
    case 'bank fails':
    case 'late':
    case 'not sent':
      return atTheBank(world, happening, rules);
    case 'crash': {
      const [dead] = lives.slice(happening.life);
      const late = (dead as Past).view.asks.flatMap(ask =>
        ask.kind === 'bank' && ask.request.method === 'PUT' ? [ask.request] : [],
      );
      const prefix = `${(dead as Past).errand.life}/`;
      return {
        ...world,
        lives: lives.filter(life => life !== dead),
        // Neither rolled back by anybody nor committed: the server drops what a vanished client leaves.
        store: dropConnections(store, connection => connection.startsWith(prefix)),
        // What was on its way to the bank may have left, or not.
        bank: { ...bank, late: [...bank.late, ...late] },
        left: { ...left, crash: left.crash - 1 },
      };
    }
    case 'late arrives': {
      const late = bank.late.filter((_, index) => index !== happening.request);
      const [request] = bank.late.slice(happening.request);
      return request ? { ...world, bank: askBank({ ...bank, late }, request, store.now).bank } : null;
    }
    case 'settles':
      return { ...world, bank: settle(bank) };
    case 'lease ends':
      return {
        ...world,
        store: later(store, settings.leaseMs + 1),
        left: { ...left, leaseEnds: left.leaseEnds - 1 },
      };
    case 'answers expire': {
      const next = { ...left, answersExpire: left.answersExpire - 1 };
      return { ...world, store: later(store, settings.answerRetentionMs + 1), left: next };
    }
    case 'bank forgets': {
      // What is a day old on the network is gone. A process that has decided to send, and is then stopped for longer
      // than the bank remembers, is no part of this world: nothing on our side could hold it back.
      const next = { ...left, bankForgets: left.bankForgets - 1 };
      return { ...world, store: later(store, bankMemoryMs + 1), bank: { ...bank, late: [] }, left: next };
    }
  }
}

/** Others see what these do, or they what others did. All other statements touch only what their transaction has locked. */
const seen = new Set([
  'claim_keys',
  'close_key',
  'commit',
  'delete_expired_keys',
  'find_payment',
  'lock_held_keys',
  'read_keys',
  'select_payments_by_key',
  'select_refunds_by_key',
  'take_over_any_keys',
  'take_over_keys',
  'take_over_unsent_key',
]);

/**
 * Runs what comes next on one connection, up to and with one statement that others could see, and what follows unseen.
 * What travelled together is answered together.
 */
async function runStatements(
  world: World,
  at: { life: number; connection: number },
  rules: Rules,
): Promise<World | null> {
  let now = world;
  const [{ errand }] = world.lives.slice(at.life) as [Past];
  const connection = `${errand.life}/${at.connection}`;
  for (let isFirst = true, isSeen = false; ; isFirst = false) {
    const life = now.lives.findIndex(each => each.errand === errand);
    const sent = now.lives[life]?.view.asks.filter(ask => isOn(ask, at.connection)) ?? [];
    const inputs: Input[] = [];
    let { store, broken } = now;
    for (const ask of sent) {
      if (isSeen && seen.has(ask.sent.name)) break;
      const done = execute(store, connection, ask.sent, rules.forgotten);
      if (!done) break;
      broken ??= staleWrite(store, connection, { sent: ask.sent, changed: done.reply.rowCount });
      store = done.store;
      isSeen ||= seen.has(ask.sent.name);
      inputs.push({ ask: ask.id, reply: done.reply });
    }
    if (inputs.length === 0) return isFirst ? null : now;
    now = await given({ ...now, store, broken }, life, inputs, rules);
  }
}

/** I7: whoever names an epoch that is not the row's writes nothing. */
function staleWrite(
  store: Store,
  connection: string,
  { sent, changed }: { sent: SqlAsk['sent']; changed: number },
): string | null {
  if (sent.name !== 'record_answers' && sent.name !== 'record_progress') return null;
  const [customers, keys, epochs] = sent.values as [string[], string[], number[]];
  const current = keys.filter((key, index) => {
    const id = `key:${customers[index] ?? ''}/${key}`;
    const row: Row | null | undefined = store.open[connection]?.writes[id] ?? store.rows[id];
    return row?.epoch === epochs[index];
  });
  return changed > current.length ? 'I7: a stale epoch wrote' : null;
}

async function atTheBank(
  world: World,
  { what, life, ask }: Happening & { ask: number; life: number },
  rules: Rules,
): Promise<World> {
  const { bank, store, left } = world;
  const { request } = askOf(world, life, ask) as BankAsk;
  const next = what === 'bank answers' ? left : { ...left, bankFault: left.bankFault - 1 };
  if (what === 'not sent')
    return given({ ...world, left: next }, life, [{ ask, failure: 'not sent' }], rules);
  if (what === 'late') {
    const waiting = { ...world, left: next, bank: { ...bank, late: [...bank.late, request] } };
    return given(waiting, life, [{ ask, failure: 'time-out' }], rules);
  }
  const { bank: after, reply } = askBank(bank, request, store.now);
  const asked = { ...world, left: next, bank: after };
  if (what === 'answer lost') return given(asked, life, [{ ask, failure: 'time-out' }], rules);
  return given(asked, life, [{ ask, answer: what === 'bank fails' ? internalError : reply }], rules);
}

const internalError = { status: 500, body: '{"error":{"code":"internal_error"}}' };

/** A life goes on, and what it tells its callers is noted. One that is over is gone. */
async function given(
  world: World,
  index: number,
  inputs: readonly Input[],
  { pasts }: Rules,
): Promise<World> {
  const before = world.lives[index] as Past;
  const past = await pasts.after(before, inputs);
  const { view } = past;
  let { heard } = world;
  for (const told of view.told.slice(before.view.told.length)) {
    const known = heard[told.key] ?? [];
    const says = inWords(told);
    if (says !== null && !known.includes(says)) heard = { ...heard, [told.key]: [...known, says].sort() };
  }
  const lives = view.isOver ? world.lives.filter(life => life !== before) : world.lives.with(index, past);
  const hangs = !view.isOver && view.asks.length === 0;
  const isCalledTwice = new Set(view.calls).size < view.calls.length;
  let { broken } = world;
  if (hangs) broken ??= 'I11: it waits for nothing';
  if (isCalledTwice) broken ??= 'I11: one holder made its call twice';
  return { ...world, lives, heard, broken };
}

/** What counts of what was told: answers, that a key is closed, and errors that nobody should ever see. */
function inWords(told: Past['view']['told'][number]): string | null {
  if ('error' in told)
    return /^(Unavailable|StopFull|Error: read ECONNRESET)/.test(told.error) ? null : `error ${told.error}`;
  const { outcome } = told;
  if (typeof outcome !== 'object' || !('kind' in outcome)) return null;
  if ('answer' in outcome) return `${outcome.answer.status} ${outcome.answer.body}`;
  if (outcome.kind === 'closed' || outcome.kind === 'cancelled') return 'cancelled';
  return outcome.kind === 'pending' ? 'pending' : null;
}

function headOf(world: World, { life, connection }: { life: number; connection: number }): Ask {
  return world.lives[life]?.view.asks.find(ask => isOn(ask, connection)) as Ask;
}

function askOf(world: World, life: number, id: number): Ask {
  return world.lives[life]?.view.asks.find(ask => ask.id === id) as Ask;
}

function nameOf(world: World, { life, connection }: { life: number; connection: number }): string {
  return `${world.lives[life]?.errand.life ?? ''}/${connection}`;
}

function later(store: Store, ms: number): Store {
  return { ...store, now: store.now + ms };
}
