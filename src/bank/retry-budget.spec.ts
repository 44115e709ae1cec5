import fc from 'fast-check';
import { RetryBudget } from './retry-budget.js';

describe('the retry budget', () => {
  it('never pays out more than it had and was given, and never holds more than its capacity', () => {
    fc.assert(
      fc.property(
        fc.nat(100),
        fc.array(fc.oneof(fc.constant('give' as const), fc.constantFrom(5, 10)), { maxLength: 200 }),
        (capacity, steps) => {
          const budget = new RetryBudget(capacity);
          let [taken, given] = [0, 0];
          for (const step of steps) {
            if (step === 'give') {
              budget.give();
              given += 1;
            } else if (budget.take(step)) taken += step;
            expect(taken).toBeLessThanOrEqual(capacity + given);
          }
          // What is left is at most the capacity, however much was given.
          let left = 0;
          while (budget.take(1)) left += 1;
          expect(left).toBeLessThanOrEqual(capacity);
        },
      ),
    );
  });

  it('takes nothing where there is not enough', () => {
    const budget = new RetryBudget(9);
    expect(budget.take(10)).toBe(false);
    expect(budget.take(5)).toBe(true);
    expect(budget.take(5)).toBe(false);
    budget.give();
    expect(budget.take(5)).toBe(true);
  });
});
