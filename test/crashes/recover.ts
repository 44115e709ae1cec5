import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from '../support/http.js';
import { historyOf } from '../support/key-history.js';
import { isFirstAnswer, isReplay } from '../support/scene.js';
import type { Crash } from './crash.js';
import type { CrashLane, Order } from './crash-lane.js';
import type { Cell } from './kill-points.js';

/**
 * T of invariant I5: how long after the crash every payment must have ended, in milliseconds. The lease of 1.2 s at
 * most, some calls of 200 ms, and a slow machine.
 */
export const recoveredWithinMs = 5_000;

/** A caller that asks again at once, whatever Retry-After says: what it may do, others may. */
const askAgainEveryMs = 40;

/** Long enough for a completer that sweeps every 50 ms to have looked several times. */
const severalSweepsMs = 250;

/**
 * Brings the payments of a crash to their end.
 *
 * @returns how long that took, in milliseconds; `null` where the completer has nothing to do, and does nothing
 */
export async function recover(
  lane: CrashLane,
  { point, recovery }: Cell,
  crash: Crash,
): Promise<number | null> {
  const began = performance.now();
  const all = [...crash.orders, ...crash.goneAhead];
  // A request whose sender has died still arrives: before all else, in the middle of it, or after it is all over.
  if (recovery === 'completer') await crash.release();
  if (recovery !== 'caller') lane.resumeCompleter();
  const late = recovery === 'both' ? sleep(150).then(crash.release) : undefined;

  const isIdle = recovery === 'completer' && (point.leaves.row === null || point.leaves.row === 'finished');
  if (isIdle) {
    await expectUntouched(lane, crash.orders);
  } else if (recovery === 'completer') {
    await Promise.all(crash.orders.map(order => untilEnded(lane, order)));
  } else {
    await Promise.all(
      crash.orders.map(async order => {
        const answers = await askUntilAnswered(lane, order);
        expectFitting(answers, point.leaves.row);
      }),
    );
  }
  const tookMs = performance.now() - began;
  await late;
  await crash.release();
  // Where nothing was left, and for the one that went ahead, the caller's retry is what brings the end.
  await Promise.all(all.map(order => askUntilAnswered(lane, order)));
  return isIdle ? null : tookMs;
}

/** Every caller asks twice more, each time somebody else. @returns the statuses they were told */
export async function repeatTwice(lane: CrashLane, { orders, goneAhead }: Crash): Promise<number[]> {
  const all = [...orders, ...goneAhead];
  const first = await Promise.all(all.map(order => lane.pay(lane.survivor, order)));
  const second = await Promise.all(all.map(order => lane.pay(lane.impatient, order)));
  for (const [index, one] of first.entries()) {
    const two = second[index];
    if (!two || !isReplay(one) || !isReplay(two) || one.text !== two.text || one.status !== two.status) {
      throw new Error(`repeats differ: ${one.status} ${one.text}\n${two?.status} ${two?.text}`);
    }
  }
  return first.map(({ status }) => status);
}

async function askUntilAnswered(lane: CrashLane, order: Order): Promise<Answer[]> {
  const until = Date.now() + recoveredWithinMs;
  const answers: Answer[] = [];
  for (;;) {
    const answer = await lane.pay(lane.survivor, order);
    answers.push(answer);
    if (answer.status === 200 || answer.status === 402) return answers;
    const isInProgress = answer.status === 409 && answer.json?.code === 'in_progress';
    if (!isInProgress && answer.status !== 202) {
      throw new Error(`a repeat was told ${answer.status}: ${answer.text}`);
    }
    if (Date.now() > until) throw new Error(await explain(lane, order));
    await sleep(askAgainEveryMs);
  }
}

/** Where nothing was left, a retry is a first call; where all was done, it is a replay from the start. */
function expectFitting([first]: Answer[], row: string | null): void {
  if (!first) throw new Error('it was never asked');
  if (row === null && !isFirstAnswer(first))
    throw new Error(`a first call was told ${first.status} ${first.text}`);
  if (row === 'finished' && !isReplay(first)) throw new Error(`no replay: ${first.status} ${first.text}`);
}

async function untilEnded(lane: CrashLane, order: Order): Promise<void> {
  const until = Date.now() + recoveredWithinMs;
  for (;;) {
    const row = await lane.keyRow(order.key);
    if (row?.recovery_point === 'finished') return;
    if (Date.now() > until) throw new Error(await explain(lane, order));
    await sleep(20);
  }
}

async function expectUntouched(lane: CrashLane, orders: Order[]): Promise<void> {
  const rows = () => Promise.all(orders.map(({ key }) => lane.keyRow(key)));
  const before = await rows();
  await sleep(severalSweepsMs);
  const after = await rows();
  if (JSON.stringify(before) !== JSON.stringify(after)) {
    throw new Error(`the completer had nothing to do, and did:\n${JSON.stringify({ before, after })}`);
  }
}

async function explain(lane: CrashLane, { key }: Order): Promise<string> {
  const [row, history] = await Promise.all([lane.keyRow(key), historyOf(lane.sql, key)]);
  return `not recovered within ${recoveredWithinMs} ms:\n${JSON.stringify(row)}\n${JSON.stringify(history)}`;
}
