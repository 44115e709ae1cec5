import { createHash } from 'node:crypto';
import type { Asked, Exchange, Invoke, PaymentAsked, RefundAsked } from './driver-log.js';

/** Something in a log that cannot be as it says. */
export interface Hole {
  readonly exchange: Exchange;
  readonly because: string;
}

/** Where a log contradicts itself. Each operation counts its attempts from one, so a line that is missing shows. */
export function findHoles(log: readonly Exchange[]): Hole[] {
  const holes: Hole[] = [];
  const attempts = new Map<string, number>();
  const requests = new Map<string, string>();
  let before = -Infinity;
  for (const exchange of log) {
    const { invoke, reply } = exchange;
    const number = (attempts.get(invoke.operation) ?? 0) + 1;
    attempts.set(invoke.operation, number);
    const because = contradiction(exchange, number);
    if (because !== undefined) holes.push({ exchange, because });
    if (invoke.at < before) holes.push({ exchange, because: 'it was sent before the one before it' });
    before = invoke.at;
    // Every attempt at one thing is made under one key, which was written down before the first of them.
    const name = `${invoke.operation} ${invoke.request ?? ''}`;
    const whose = `${invoke.customer} ${invoke.key ?? ''}`;
    if ((requests.get(name) ?? whose) !== whose) holes.push({ exchange, because: 'its key has changed' });
    requests.set(name, whose);
    if (reply && reply.exchange !== invoke.exchange)
      holes.push({ exchange, because: 'the reply is another’s' });
  }
  return holes;
}

/** @returns why this exchange cannot have been as it says, being the `number`th of its operation */
function contradiction({ invoke, reply }: Exchange, number: number): string | undefined {
  if (invoke.attempt !== number) return `attempt ${invoke.attempt} is the operation’s number ${number}`;
  if (invoke.request !== requestHash(invoke)) return 'the hash is that of another request';
  if (!fits(invoke)) return 'what is asked for needs other parameters';
  if (reply && reply.at < invoke.at) return 'the reply came before the request';
  return undefined;
}

/** Whoever pays or refunds says what; whoever cancels or looks names a key only. */
function fits({ asked, params, kind }: { asked: Asked; params: Invoke['params']; kind: string }): boolean {
  if (kind !== 'invoke') return false;
  if (asked === 'put') return params !== null;
  const isRefund = params !== null && 'payment_id' in params;
  if (asked === 'pay' || asked === 'refund') return params !== null && isRefund === (asked === 'refund');
  return params === null;
}

/** What is asked for, whoever asks and however it is spelled. */
export function requestHash({ params }: Pick<Invoke, 'params'>): string | null {
  return (
    params &&
    createHash('sha256')
      .update(JSON.stringify(inOrder(params)))
      .digest('hex')
  );
}

/** The order of the members must not matter: a log may have been written by another driver. */
function inOrder(params: PaymentAsked | RefundAsked): unknown[] {
  if ('payment_id' in params) return ['refund', params.payment_id, params.amount];
  const { to, amount, currency, from, rail, reference } = params;
  return ['payment', to, amount, currency, from, rail, reference];
}
