import { setTimeout as sleep } from 'node:timers/promises';
import { PostgresProxy } from '../../../../test/support/postgres-proxy.js';
import type { Reply } from '../../driver-log.js';
import { settings } from '../../world.js';
import { isFirstAnswer, type Payment } from './directed-caller.js';
import { untilFinished } from './recover.js';
import type { Setting } from './setting.js';
import { fencedName, nameOf, planStandstills, type Standstill } from './standstills.js';
import { Victim } from './victim.js';

/** Processes that stand still at once. Each of them mostly waits for a lease to run out. */
const lanesMax = 3;

/** How long an event loop stalls, in milliseconds: three leases. */
const stallMs = 3 * Number(settings.LEASE_MS);

/** How long somebody waits who asks a process whether it lives, in milliseconds. */
const probeMs = 200;

/** How long a payment may take to where its holder stands still; and how many are sent before we give up. */
const metWithinMs = 10_000;
const paymentsMax = 5;

/**
 * F14, F15, F16: a holder stands still for longer than its lease, and does not know it. The completer takes over and
 * finishes; then the holder goes on, and whatever it writes must touch nothing.
 */
export async function standStill(setting: Setting): Promise<void> {
  const { alone, together } = planStandstills(setting);
  await Promise.all(Array.from({ length: lanesMax }, () => work(setting, together)));
  // It holds locks that everybody needs, until the database ends its transaction: with nobody else beside it.
  await work(setting, alone);
  setting.say('holders have stood still');
}

/** One process, again and again: it does not die of it. */
async function work(setting: Setting, plan: Standstill[]): Promise<void> {
  if (plan.length === 0) return;
  const { world } = setting;
  const link = await PostgresProxy.start(world.postgres.url);
  // The database ends a transaction that has fallen silent for so long. Shorter than a lease would be too short to work.
  const env = { ...setting.bootEnv, STATEMENT_TIMEOUT_MS: '400' };
  const zombie = await Victim.api({ world, link, name: setting.nextName('zombie'), env });
  setting.watch(zombie);
  try {
    for (let next = plan.shift(); next; next = plan.shift()) await once(next, zombie, setting);
  } finally {
    await zombie.process.kill();
    link.stop();
  }
}

async function once(standstill: Standstill, zombie: Victim, setting: Setting): Promise<void> {
  const { heirs, tally } = setting;
  const { how } = standstill;
  const fencedBefore = await timesFenced(zombie);
  const { creditor, inside } = await bringToAStandstill(standstill, zombie, setting);
  const payments = [...inside.keys()];
  let written: number | undefined;
  if (how === 'stopped') {
    await untilFinished(heirs.database, payments);
    written = await changesBy(zombie, payments, setting);
    zombie.process.signal('SIGCONT');
  } else if (how === 'woken in between') {
    await wakeInBetween(zombie, creditor, setting);
  } else if (await isDeaf(zombie)) {
    tally.count('neither liveness nor readiness answered');
  }
  const replies = await Promise.all(inside.values());
  const about = payments[0]?.operation ?? '';
  if (written !== undefined && (await changesBy(zombie, payments, setting)) !== written) {
    tally.found('I7', 'who was taken over writes nothing', about, { standstill });
  }
  if (how === 'stopped' && replies.some(isFirstAnswer)) {
    tally.found('I3', 'who was taken over answers from the row', about, { standstill, replies });
  }
  tally.count(fencedName, (await timesFenced(zombie)) - fencedBefore);
  tally.count(nameOf(standstill));
  for (const payment of payments) await heirs.caller.untilTold(payment, heirs.urls);
}

/** @throws Error when it goes on and on: the harness does not meet it where it wants to */
async function bringToAStandstill(
  { how, point, recoveryPoint }: Standstill,
  zombie: Victim,
  setting: Setting,
) {
  const { caller } = setting;
  const creditor = `payee-of-${setting.nextName(zombie.name)}`;
  await zombie.arm({ point, recoveryPoint, atLeast: 1, strike: how === 'stalled' ? stallMs : 'SIGSTOP' });
  const inside = new Map<Payment, Promise<Reply>>();
  for (let sent = 0; sent < paymentsMax; sent += 1) {
    const payment = caller.newPayment('paid', creditor);
    inside.set(payment, caller.once(payment, zombie.url));
    if (await zombie.struck(metWithinMs)) return { creditor, inside };
  }
  throw new Error(`${zombie.name} never came to ${point}@${recoveryPoint}`);
}

/**
 * Its heir's order is at the bank, unread, when it wakes and sends its own, with the same reference. That the epoch is
 * looked at before a call is best effort, and nothing is asserted of it: the bank's books have to show one charge.
 */
async function wakeInBetween(zombie: Victim, creditor: string, { world, tally }: Setting): Promise<void> {
  const { control } = world.bank;
  const target = { at: 'before', method: 'PUT', creditor, times: 2 };
  const { id } = (await control('POST', '/barriers', target)) as { id: string };
  const holds = async (ms: number) =>
    ((await control('GET', `/barriers/${id}?wait_ms=${ms}`)) as { held: number }).held;
  await holds(metWithinMs);
  zombie.process.signal('SIGCONT');
  // The heir waits no longer than the bank's time-out, and must be let go before.
  const until = performance.now() + Number(settings.BANK_TIMEOUT_MS) / 2;
  while ((await holds(0)) < 2 && performance.now() < until) await sleep(5);
  if ((await holds(0)) === 2) tally.count('two orders with one reference at the bank at once');
  await control('DELETE', `/barriers/${id}`);
}

/** A process whose event loop stalls answers nobody: who asks for its health learns it from the silence. */
async function isDeaf({ url }: Victim): Promise<boolean> {
  const probes = ['live', 'ready'].map(what =>
    fetch(`${url}/health/${what}`, { signal: AbortSignal.timeout(probeMs) }).then(
      () => false,
      () => true,
    ),
  );
  return (await Promise.all(probes)).every(Boolean);
}

async function timesFenced({ url }: Victim): Promise<number> {
  const metrics = await fetch(`${url}/metrics`).then(answer => answer.text());
  const lines = metrics.split('\n').filter(line => /^paysam_fenced_total[{ ]/.test(line));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** What it has written in its own epoch, the first. */
async function changesBy(
  { name }: Victim,
  payments: readonly Payment[],
  { heirs }: Setting,
): Promise<number> {
  const { rows } = await heirs.database.query<{ changes: number }>(
    'SELECT count(*)::int AS changes FROM key_history WHERE writer = $1 AND key = ANY ($2) AND epoch = 1',
    [name, payments.map(({ key }) => key)],
  );
  return rows[0]?.changes ?? 0;
}
