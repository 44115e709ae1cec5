import type { ClientEvent } from './events.js';
import type { ApiRequest } from './request.js';

type WithoutCall<Event> = Event extends unknown ? Omit<Event, 'call' | 'idempotencyKey'> : never;

export type Tell = (event: WithoutCall<ClientEvent>) => void;

/** Counted over all clients of the process, since several may tell the same listener. */
let calls = 0;

/**
 * Tells a listener what happens in one call. Whatever the listener throws is dropped: a log that is full is no reason to
 * leave a payment half way, and the money would have moved all the same. An `async` listener that fails is no different.
 *
 * @returns undefined where nobody listens: then events need not even be put together
 */
export function teller<T>(
  { key: idempotencyKey }: ApiRequest<T>,
  onEvent: ((event: ClientEvent) => unknown) | undefined,
): Tell | undefined {
  if (!onEvent) return undefined;
  const call = (calls += 1);
  return event => {
    try {
      Promise.resolve(onEvent({ call, idempotencyKey, ...event })).catch(() => undefined);
    } catch {
      // See above.
    }
  };
}
