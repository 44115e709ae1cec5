import fc from 'fast-check';
import { readPreference } from './prefer.js';

describe('how long a caller would wait', () => {
  it.each([
    ['wait=5', 5_000, 'wait=5'],
    ['wait=0', 0, 'wait=0'],
    ['WAIT = "7"', 7_000, 'wait=7'],
    ['wait=30', 30_000, 'wait=30'],
    ['wait=31', 30_000, 'wait=30'],
    ['wait=999999999', 30_000, 'wait=30'],
    ['respond-async', 0, 'respond-async'],
    ['Respond-Async; foo=1', 0, 'respond-async'],
    ['return=minimal, wait=3', 3_000, 'wait=3'],
    ['wait=3, respond-async', 3_000, 'wait=3'],
    ['wait=3; x, wait=4', 3_000, 'wait=3'],
  ])('%s is %s ms, and the answer says %s', (header, ms, applied) => {
    expect(readPreference(header)).toEqual({ patience: { firstMs: ms, repeatMs: ms }, applied });
  });

  it.each([
    undefined,
    '',
    'wait',
    'wait=',
    'wait=-1',
    'wait=1.5',
    'wait=soon',
    'wait=1e3',
    'awaits=3',
    'await=3',
    '=',
    ';wait=1',
  ])('%s says nothing, and is no mistake', header => {
    expect(readPreference(header)).toBeNull();
  });

  it('is never more than half a minute, and never a mistake, whatever is sent', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.nat().map(n => `wait=${n}`),
        ),
        header => {
          const { firstMs = 0 } = readPreference(header)?.patience ?? {};
          expect(firstMs).toBeGreaterThanOrEqual(0);
          expect(firstMs).toBeLessThanOrEqual(30_000);
        },
      ),
    );
  });
});
