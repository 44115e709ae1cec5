import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { publish, type EngineEvent } from './events.js';
import type { Attempt, Held, Operation } from './operation.js';

it('an event says what happened to whom, and never the key', () => {
  const seen: EngineEvent[] = [];
  const listener = (event: unknown) => seen.push(event as EngineEvent);
  const attempt = { id: 'a', key: 'secret', operation: { name: 'payment' } as Operation } as Attempt;
  const held = { epoch: 3, point: 'transfer_sent' } as Held;
  subscribe('paysam.engine', listener);
  publish(
    'parked',
    [
      { attempt, held },
      { attempt, held: null },
    ],
    { reason: 'odd' },
  );
  unsubscribe('paysam.engine', listener);
  publish('parked', []);

  expect(seen).toMatchObject([{ point: 'parked', batchSize: 2, reason: 'odd' }]);
  const who = { operation: 'payment', attemptId: 'a' };
  expect(seen[0]?.attempts).toEqual([
    { ...who, epoch: 3, recoveryPoint: 'transfer_sent' },
    { ...who, epoch: 1, recoveryPoint: 'started' },
  ]);
});
