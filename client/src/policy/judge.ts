import type { Exchange } from '../exchange.js';

/**
 * What the exchanges of one call say about the payment that it asked for.
 *
 * `answered`: the server has given its result, a pending one perhaps. `refused`: it has said no for good, and nothing was
 * carried out. `not_sent`: nothing was carried out either, since nothing arrived, or all of it was turned away unread.
 * `unknown`: it may have been carried out. Only its key can tell.
 */
export type Judgement = 'answered' | 'refused' | 'unknown' | 'not_sent';

/**
 * Judges a call by its last exchange, and by what the earlier ones leave open.
 *
 * The trap is a no that comes late. Say the first attempt paid, and its answer was lost; before the second one somebody
 * revoked the API key. The 401 is as true as it is beside the point: the server gave it before it looked at the key, so
 * it says nothing about the first attempt, and whoever takes it for the end pays again. So a no that comes before the
 * look at the key counts only if no earlier attempt may have been carried out. A no that comes after it always counts.
 *
 * Remaining risk: the look at the key finds what has arrived. An earlier attempt that a proxy still holds may arrive
 * after a 422, which leaves the key open, and be carried out if its reason has gone by then. To rule that out as well,
 * cancel the key: that closes it for good.
 *
 * @param exchanges of this call, oldest first; none if the caller gave up before the first
 * @param options.resumed whether its key may have been sent before this call: by an earlier life of the process, or by
 *   a call that left its entry in the journal
 */
export function judge(exchanges: readonly Exchange[], { resumed }: { resumed: boolean }): Judgement {
  const last = exchanges.at(-1);
  const word = last ? meaningOf(last) : 'nothing';
  if (word === 'answered' || word === 'refused') return word;
  if (resumed || exchanges.some(mayBeCarriedOut)) return 'unknown';
  return word === 'refused_unseen' ? 'refused' : 'not_sent';
}

/**
 * What one exchange alone says. `refused_unseen`: no, without a look at the key. `nothing`: not carried out, and not
 * refused for good. `open`: it may have been carried out.
 */
type Meaning = 'answered' | 'refused' | 'refused_unseen' | 'nothing' | 'open';

/** The first rule that applies decides; what no rule knows is taken for a no that came before the look at the key. */
function meaningOf(exchange: Exchange): Meaning {
  if (exchange.kind === 'not_sent') return 'nothing';
  if (exchange.kind !== 'answered') return 'open';
  const { status, code } = exchange;
  if (status >= 200 && status <= 299) return 'answered';
  // A server that fails, or what stands before it and has lost its answer: even 503 is no promise that nothing was done.
  if (status >= 500) return 'open';
  if (status === 408 || status === 429) return 'nothing';
  // In progress; or a 409 that could not be read, and may have said so.
  if (status === 409) return code !== null && definitiveCodes.has(code) ? 'refused' : 'open';
  // Without a code they are not this server's: a host whose own bill is unpaid answers 402 as well.
  if ((status === 402 || status === 422) && code !== null) return 'refused';
  return 'refused_unseen';
}

const definitiveCodes: ReadonlySet<string> = new Set([
  'collision_detected',
  'operation_cancelled',
  'already_completed',
]);

function mayBeCarriedOut(exchange: Exchange): boolean {
  const meaning = meaningOf(exchange);
  return meaning === 'open' || meaning === 'answered';
}
