import { findHoles } from '../log-holes.js';
import { join, mayChange } from '../joined.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';

/**
 * I15, no run is green because nothing happened in it. Enough operations succeeded, and a fair share of all of them;
 * each fault point was hit, each kind of answer was given and each way to go wrong was met as often as was wanted. A
 * witness with gaps in what it says is no witness.
 */
export function checkVacuity(witnesses: Witnesses): Violation[] {
  const { seen, wanted, shareSucceededMin, succeededMin } = witnesses.run.coverage;
  const found = new Findings('I15');

  const { succeeded, operations } = countSucceeded(witnesses);
  const share = operations === 0 ? 0 : succeeded / operations;
  const evidence = { succeeded, operations, succeededMin, shareSucceededMin };
  if (succeeded < succeededMin) found.add('enough operations succeeded', 'the run', evidence);
  if (share < shareSucceededMin) found.add('a fair share of the operations succeeded', 'the run', evidence);

  // What was seen in the log is counted here; what struck where, the harness knows.
  const all: Record<string, number> = { ...countAnswers(witnesses), ...seen };
  for (const [what, times] of Object.entries(wanted)) {
    if ((all[what] ?? 0) < times) {
      found.add('what the run is about was seen', what, { seen: all[what] ?? 0, wanted: times });
    }
  }
  for (const hole of findHoles(witnesses.log)) {
    found.add('the log is whole', hole.exchange.invoke.exchange, hole);
  }
  const { customers, keys, history } = witnesses.database;
  const known = new Set(customers.map(({ name }) => name));
  for (const name of new Set(witnesses.log.map(({ invoke }) => invoke.customer))) {
    if (!known.has(name)) found.add('the witnesses speak of the same customers', name, {});
  }
  const isBlind = succeeded > 0 && keys.length + history.length === 0;
  if (isBlind) found.add('every witness has something to say', 'the database', {});
  return found.violations;
}

/** What was given as an answer, under the names that `wanted` may use: `answer 409 in_progress`, `replay`. */
export function countAnswers(witnesses: Witnesses): Record<string, number> {
  const counts: Record<string, number> = {};
  const count = (what: string) => (counts[what] = (counts[what] ?? 0) + 1);
  const joined = join(witnesses);
  for (const exchange of witnesses.log) {
    const { reply } = exchange;
    if (!reply) count('no line about the end');
    else if (reply.status === null) count('no answer');
    else count(`answer ${reply.status}${reply.code === undefined ? '' : ` ${reply.code}`}`);
    if (reply?.headers['idempotent-replayed'] !== 'true') continue;
    count('replay');
    const owner = joined.ownerOf(exchange);
    if (owner !== null && !joined.keys.has(owner)) count('replay of a key that is reaped by now');
  }
  for (const [, history] of joined.history) {
    if (history.some(({ epoch }) => epoch > 1)) count('taken over');
    if (history.some(({ parkedBecause }) => parkedBecause !== null)) count('parked');
  }
  return counts;
}

/** By operation: however often it was tried, it counts once. */
export function countSucceeded({ log }: Witnesses): { succeeded: number; operations: number } {
  const ends = new Map<string, boolean>();
  for (const exchange of log) {
    if (!mayChange(exchange)) continue;
    const { operation } = exchange.invoke;
    ends.set(operation, (ends.get(operation) ?? false) || exchange.reply?.status === 200);
  }
  const succeeded = [...ends.values()].filter(Boolean).length;
  return { succeeded, operations: ends.size };
}
