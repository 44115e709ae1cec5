import type { ClientEvent } from './events.js';
import type { ApiRequest } from './request.js';

type WithoutCall<Event> = Event extends unknown ? Omit<Event, 'call' | 'idempotencyKey'> : never;

export type Tell = (event: WithoutCall<ClientEvent>) => void;

/** Counted over all clients of the process, since several may tell the same listener. */
let calls = 0;

const nobodyListens: Tell = () => undefined;

/**
 * Tells a listener what happens in one call. Whatever the listener throws is dropped: a log that is full is no reason to
 * leave a payment half way, and the money would have moved all the same. An `async` listener that fails is no different.
 */
export function teller<T>(
  { key: idempotencyKey }: ApiRequest<T>,
  onEvent: ((event: ClientEvent) => unknown) | undefined,
): Tell {
  if (!onEvent) return nobodyListens;
  const call = (calls += 1);
  return event => {
    try {
      Promise.resolve(onEvent({ call, idempotencyKey, ...event })).catch(() => undefined);
    } catch {
      // See above.
    }
  };
}
