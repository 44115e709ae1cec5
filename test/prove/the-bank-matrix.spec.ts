import type { Transfer } from '../../bank/books.js';
import { Faults, type Fault, type FaultKind } from '../../bank/faults.js';
import { pairsOf } from '../../lab/prove/acts/bank-pairs.js';

describe('a bank that is to be found out', () => {
  const pairs = pairsOf('ordinary', 0).filter(({ end }) => end === 'parked');

  it.each(pairs)('$name: never answers truly, though nobody waits for its answers (seed 924211564)', pair => {
    for (const variant of pair.mode.variants(pair.point, 'https://elsewhere.example')) {
      const bank = new Faults();
      for (const { kind, times, method } of variant) {
        bank.plan({ kind: kind as FaultKind }, { method, creditor: 'f57' }, times);
      }
      const asked = { method: 'GET', reference: 'p1', creditor: 'f57', known: {} as Transfer } as const;
      const heard: (Fault | undefined)[] = [];
      for (let calls = 0; calls < 50; calls += 1) heard.push(bank.take(asked));
      expect(heard).not.toContain(undefined);
    }
  });
});
