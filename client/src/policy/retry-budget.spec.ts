import fc from 'fast-check';
import type { Exchange } from '../exchange.js';
import { RetryBudget, RetryPrices } from './retry-budget.js';

/** One call: what its retries cost, as far as they could be paid, and whether the call succeeded in the end. */
const call = fc.record({
  costs: fc.array(fc.constantFrom(5, 10), { maxLength: 4 }),
  succeeds: fc.boolean(),
});

interface Bill {
  taken: number;
  lastCost: number;
  retries: number;
}

function pay(budget: RetryBudget, costs: readonly number[]): Bill {
  const bill = { taken: 0, lastCost: 0, retries: 0 };
  for (const cost of costs) {
    if (!budget.take(cost)) break;
    bill.taken += cost;
    bill.lastCost = cost;
    bill.retries += 1;
  }
  return bill;
}

describe('the retry budget', () => {
  it('never holds less than nothing, nor more than its capacity', () => {
    fc.assert(
      fc.property(fc.nat(100), fc.array(call, { maxLength: 100 }), (capacity, calls) => {
        const budget = new RetryBudget({ capacity });
        for (const { costs, succeeds } of calls) {
          const { lastCost } = pay(budget, costs);
          expect(budget.tokens).toBeGreaterThanOrEqual(0);
          if (succeeds) budget.success(lastCost);
          expect(budget.tokens).toBeLessThanOrEqual(capacity);
        }
      }),
    );
  });

  it('allows no more retries in vain than its capacity pays for, and one for every five calls that need none', () => {
    fc.assert(
      fc.property(fc.nat(100), fc.array(call, { maxLength: 100 }), (capacity, calls) => {
        const budget = new RetryBudget({ capacity });
        let [inVain, atOnce] = [0, 0];
        for (const { costs, succeeds } of calls) {
          const { retries, lastCost } = pay(budget, costs);
          // The last retry of a call that succeeds was not in vain, and is paid back.
          inVain += succeeds && retries > 0 ? retries - 1 : retries;
          if (succeeds) budget.success(lastCost);
          if (succeeds && retries === 0) atOnce += 1;
          expect(inVain).toBeLessThanOrEqual(capacity / 5 + atOnce / 5);
        }
      }),
    );
  });

  it('pays for a hundred retries in an outage, half as many after time-outs, and for none after that', () => {
    for (const [exchange, retries] of [
      [{ kind: 'broken' }, 100],
      [{ kind: 'timed_out' }, 50],
    ] satisfies [Exchange, number][]) {
      const budget = new RetryBudget();
      expect(budget.tokens).toBe(500);
      const cost = budget.costAfter(exchange);
      expect(Array.from({ length: 200 }, () => budget.take(cost)).filter(Boolean)).toHaveLength(retries);
      expect(budget.tokens).toBe(0);
      expect(budget.affords(cost)).toBe(false);
    }
  });

  it('costs 5 after every exchange but a time-out, be it only that the first request is still in progress', () => {
    const budget = new RetryBudget();
    const told: Exchange = {
      kind: 'answered',
      status: 409,
      code: 'in_progress',
      shouldRetry: true,
      retryAfterMs: 1,
    };
    expect(budget.costAfter(told)).toBe(5);
    expect(budget.costAfter({ kind: 'not_sent' })).toBe(5);
    expect(budget.costAfter({ kind: 'timed_out' })).toBe(10);
  });

  it('takes nothing where there is not enough', () => {
    const budget = new RetryBudget({ capacity: 9 });
    expect(budget.affords(9)).toBe(true);
    expect(budget.affords(10)).toBe(false);
    expect(budget.take(10)).toBe(false);
    expect(budget.tokens).toBe(9);
    expect(budget.take(9)).toBe(true);
    expect(budget.tokens).toBe(0);
  });

  it('gets back what a successful call’s last retry took, or one token from a call that needed none', () => {
    const budget = new RetryBudget({ capacity: 50 });
    budget.take(10);
    budget.take(10);
    budget.take(5);
    budget.success(5);
    expect(budget.tokens).toBe(30);
    budget.success(10);
    expect(budget.tokens).toBe(40);
    budget.success();
    expect(budget.tokens).toBe(41);
    budget.success(0);
    expect(budget.tokens).toBe(42);
    budget.success(10);
    expect(budget.tokens).toBe(50);
  });

  it('has the prices that it is given, and those of AWS’s clients otherwise', () => {
    expect(new RetryPrices()).toEqual({ capacity: 500, retryCost: 5, timeoutRetryCost: 10, successGain: 1 });
    const budget = new RetryBudget({ capacity: 20, retryCost: 2, timeoutRetryCost: 3, successGain: 4 });
    expect(budget.costAfter({ kind: 'broken' })).toBe(2);
    expect(budget.costAfter({ kind: 'timed_out' })).toBe(3);
    budget.take(10);
    budget.success();
    expect(budget.tokens).toBe(14);
  });

  it.each(['capacity', 'retryCost', 'timeoutRetryCost', 'successGain'])(
    'takes no %s below nothing, nor one that is no number',
    name => {
      const sentence = `RetryBudget: ${name} must be 0 or more, not`;
      expect(() => new RetryBudget({ [name]: -1 })).toThrow(new RangeError(`${sentence} -1.`));
      expect(() => new RetryBudget({ [name]: NaN })).toThrow(new RangeError(`${sentence} NaN.`));
      expect(() => new RetryBudget({ [name]: 0 })).not.toThrow();
    },
  );
});
