import type { Exchange, Invoke } from '../driver-log.js';
import { join } from '../joined.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';

/**
 * I14, collision: a key reused with another fingerprint neither runs nor replays. It is told `collision_detected`, which
 * names the members that differ and repeats no value of the first request. Equal requests never collide.
 */
export function checkCollision(witnesses: Witnesses): Violation[] {
  const found = new Findings('I14');
  for (const [owner, exchanges] of join(witnesses).exchanges) {
    const requests = exchanges.filter(({ invoke }) => invoke.request !== null);
    // Under most keys there is one request, and it is never told of another.
    const isPlain = new Set(requests.map(({ invoke }) => invoke.request)).size === 1;
    const runs = requests.filter(isTakenOn);
    const owners = new Set(runs.map(({ invoke }) => invoke.request));
    if (owners.size > 1) found.add('one request runs under a key, and no other', owner, { runs });

    const first = runs[0]?.invoke;
    for (const exchange of requests) {
      const { invoke, reply } = exchange;
      if (reply?.code === 'in_progress' && owners.size === 1 && !owners.has(invoke.request)) {
        found.add('another request is told of the collision, not to wait', owner, { exchange, first });
      }
      if (reply?.code !== 'collision_detected') continue;
      if (isPlain || owners.has(invoke.request)) {
        found.add('equal requests never collide', owner, { exchange, first });
      }
      const differ = first && membersThatDiffer(first, invoke);
      if (!reply.differsIn?.length || (differ && differ.join() !== [...reply.differsIn].sort().join())) {
        found.add('a collision names the members that differ', owner, { exchange, first, differ });
      }
      if (reply.discloses?.length) {
        found.add('a collision repeats no value of the first request', owner, { exchange });
      }
    }
  }
  return found.violations;
}

/** Paid, declined, or on its way: whoever is told so owns the key. */
function isTakenOn({ reply }: Exchange): boolean {
  return reply?.kind === 'ok' || reply?.status === 202;
}

/** In the order of the contract: another operation is told as that, and its members are not compared. */
function membersThatDiffer(first: Invoke, other: Invoke): string[] | undefined {
  if (!first.params || !other.params) return undefined;
  const [one, two] = [first.params, other.params] as unknown as Record<string, unknown>[];
  if (!one || !two) return undefined;
  if ('payment_id' in one !== 'payment_id' in two) return ['operation'];
  return Object.keys({ ...one, ...two })
    .filter(name => one[name] !== two[name])
    .sort();
}
