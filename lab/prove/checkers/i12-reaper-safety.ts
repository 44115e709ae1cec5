import type { KeyChange } from '../database-witness.js';
import { join, type Joined, type Owner } from '../joined.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';

/**
 * I12, reaper safety: no unfinished key is removed, none before its time, nor before the time that a caller was told in
 * `Idempotency-Expires`; and the payment keeps the key. Only a claim that is taken back in its own transaction goes
 * unfinished: nobody ever saw it.
 *
 * So that the time told means something, it has to be the row's own.
 */
export function checkReaperSafety(witnesses: Witnesses): Violation[] {
  const joined = join(witnesses);
  const found = new Findings('I12');
  for (const [owner, history] of joined.history) {
    const expiryTold = latestExpiryTold(joined, owner);
    const times = history.map(({ expiresAt }) => expiresAt);
    if (expiryTold !== -Infinity && !times.some(time => Math.abs(time - expiryTold) < 1)) {
      found.add('the expiry that a caller is told is that of the row', owner, { expiryTold, times });
    }
    let inserted: KeyChange | undefined;
    for (const change of history) {
      if (change.change === 'INSERT') inserted = change;
      if (change.change !== 'DELETE' || change.transaction === inserted?.transaction) continue;
      const evidence = { change, expiryTold };
      if (change.recoveryPoint !== 'finished') found.add('no unfinished key is removed', owner, evidence);
      if (change.at < change.expiresAt) found.add('no key is removed before its time', owner, evidence);
      // The database tells its time to the microsecond, the header to the millisecond.
      if (change.at < expiryTold - 1) {
        found.add('no key is removed before the time its caller was told', owner, evidence);
      }
      if (!joined.effects.has(owner))
        found.add('what was done under a removed key is there', owner, evidence);
    }
  }
  return found.violations;
}

/**
 * Only first answers count, and those on the way to one: they were told by the row itself. The expiry in a replay may
 * be that of an answer that was rebuilt after the row had gone.
 */
function latestExpiryTold(joined: Joined, owner: Owner): number {
  let latest = -Infinity;
  for (const { reply } of joined.exchanges.get(owner) ?? []) {
    const expires = reply?.headers['idempotency-expires'];
    const isReplay = reply?.headers['idempotent-replayed'] === 'true';
    const status = reply?.headers['idempotency-status'];
    if (expires === undefined || isReplay || (status !== 'completed' && status !== 'in_progress')) continue;
    latest = Math.max(latest, Date.parse(expires));
  }
  return latest;
}
