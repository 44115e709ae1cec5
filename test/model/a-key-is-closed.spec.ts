import { watchEngine } from '../support/engine-events.js';
import { EngineScene, finish, owner, paid, postpone, type Script } from './engine-scene.js';

/** The engine as it is over the model's database: each way in which a request to cancel may end. */
describe('a key is closed, or it is said why not', () => {
  const params = { amount: 100 };
  const notSent: Script = { call: () => Promise.resolve(), record: () => postpone('not_sent') };
  const closed = { kind: 'closed' };

  it('one that was never used: whatever comes under it is told so', async () => {
    const scene = new EngineScene();
    const engine = scene.engine();
    expect(await engine.cancel(owner('k'))).toEqual(closed);
    expect(await engine.cancel(owner('k'))).toEqual(closed);
    expect(await scene.run(engine, 'k')).toEqual({ kind: 'cancelled' });
    expect(scene.decided).toEqual([]);
    expect(await engine.lookAt(owner('k'))).toMatchObject({
      ...owner('k'),
      operation: '',
      params: {},
      recoveryPoint: 'cancelled',
      duplicates: 1,
      expiresAt: new Date(8_640_000_000_000_000),
    });
  });

  it('but not too many of them, since they are kept for ever', async () => {
    const scene = new EngineScene();
    const engine = scene.engine();
    for (const key of ['1', '2', '3']) expect(await engine.cancel(owner(key))).toEqual(closed);
    expect(await engine.cancel(owner('4'))).toEqual({ kind: 'too_many', max: 3 });
    expect(scene.database.row('4')).toBeUndefined();
    expect(await engine.cancel(owner('3'))).toEqual(closed);
  });

  it('not a fingerprint of which nothing is known', async () => {
    const scene = new EngineScene();
    expect(await scene.engine().cancel(owner('fp_x'))).toEqual({ kind: 'unknown' });
    expect(scene.database.row('fp_x')).toBeUndefined();
  });

  it('not one that came to its end: that is told', async () => {
    const scene = new EngineScene();
    const engine = scene.engine();
    await scene.run(engine, 'k');
    expect(await engine.cancel(owner('k'))).toEqual({ kind: 'already_completed', answer: paid });
  });

  it('not one whose row was reaped: what was done under it is told, and nothing is left behind', async () => {
    const scene = new EngineScene();
    scene.remembered.set('payment k', { params, answer: paid, finishedAt: new Date(0) });
    expect(await scene.engine().cancel(owner('k'))).toEqual({ kind: 'already_completed', answer: paid });
    expect(scene.database.row('k')).toBeUndefined();
  });

  it('not one that somebody used a moment before', async () => {
    const scene = new EngineScene();
    const engine = scene.engine();
    await scene.run(engine, 'other');
    scene.database.trouble = ({ name }) => {
      if (name === 'close_key') scene.database.put('k', { ...scene.database.row('other'), key: 'k' });
      return undefined;
    };
    expect(await engine.cancel(owner('k'))).toEqual({ kind: 'already_completed', answer: paid });
  });

  it('one of which certainly nothing was sent: what was reserved is undone', async () => {
    const events = watchEngine();
    const undone: unknown[] = [];
    const scene = new EngineScene({
      ...notSent,
      cancel: ({ attempt, state }) => (undone.push(attempt.key, state), { kind: 'cancel' }),
    });
    const engine = scene.engine();
    await scene.run(engine, 'k', params, [1_000, 0]);
    expect(scene.database.row('k')?.may_be_sent).toBe(false);
    expect(await engine.cancel(owner('k'))).toEqual(closed);
    expect(undone).toEqual(['k', { payment_id: 'p' }]);
    expect(scene.database.row('k')).toMatchObject({
      recovery_point: 'cancelled',
      expires_at: Infinity,
      locked_until: null,
      epoch: 2,
      attempts: 1,
    });
    expect(events.at('cancelled')).toHaveLength(1);
    expect(events.at('cancelled')[0]?.attempts).toMatchObject([
      { epoch: 2, recoveryPoint: 'funds_reserved' },
    ]);
    expect(await scene.run(engine, 'k')).toEqual({ kind: 'cancelled' });
    expect(await engine.cancel(owner('k'))).toEqual(closed);
    events.stop();
  });

  it('not one that came to its end while it was looked at', async () => {
    const scene = new EngineScene({ ...notSent, cancel: () => finish });
    const engine = scene.engine();
    await scene.run(engine, 'k', params, [1_000, 0]);
    expect(await engine.cancel(owner('k'))).toEqual({ kind: 'already_completed', answer: paid });
  });

  it('not one that may have been sent, or that nobody knows how to undo: when to ask again is told', async () => {
    const sent = new EngineScene({ ...notSent, record: () => ({ kind: 'park', reason: 'odd' }) });
    const engine = sent.engine();
    await sent.run(engine, 'k', params, [1_000, 0]);
    expect(await engine.cancel(owner('k'))).toEqual({ kind: 'in_progress', retryAfterSeconds: 30 });
    sent.database.put('k', { parked_because: null, locked_until: sent.database.now + 6_500 });
    expect(await engine.cancel(owner('k'))).toEqual({ kind: 'in_progress', retryAfterSeconds: 7 });

    const forGood = new EngineScene({ ...notSent, cancel: null });
    await forGood.run(forGood.engine(), 'k', params, [1_000, 0]);
    expect(forGood.database.row('k')?.may_be_sent).toBe(false);
    expect(await forGood.engine().cancel(owner('k'))).toMatchObject({ kind: 'in_progress' });
  });
});
