import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { EngineEvent, EnginePoint } from '../../src/idempotency/events.js';

/**
 * Listens to what the engines inside this process say while they work, so that a test can show that what it is
 * about did happen: that a batch was large, was split, or was repeated.
 */
export function watchEngine() {
  const events: EngineEvent[] = [];
  const listener = (message: unknown) => events.push(message as EngineEvent);
  subscribe('paysam.engine', listener);
  const at = (point: EnginePoint) => events.filter(event => event.point === point);
  return {
    at,
    largestBatch: (point: EnginePoint) => Math.max(0, ...at(point).map(event => event.batchSize)),
    /** Why batches were repeated: the SQLSTATE, or the socket's own code or words. */
    repeatedBecauseOf: () =>
      at('batch_repeated').map(({ error }) => {
        const { code, message } = error as { code?: string; message: string };
        return code ?? message;
      }),
    stop: () => unsubscribe('paysam.engine', listener),
  };
}
