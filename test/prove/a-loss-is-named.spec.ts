import { findLost, judgeLoss, type Named } from '../../lab/prove/acts/lost-tail.js';
import { checkEverything } from '../../lab/prove/checkers/every-checker.js';
import type { Violation } from '../../lab/prove/violation.js';
import type { Witnesses } from '../../lab/prove/witnesses.js';
import { MadeUpRun } from './made-up-run.js';

/** Of a fail-over that loses a tail no run can be judged as if nothing had happened; nor may it excuse everything. */
describe('a tail that was lost', () => {
  const before = new MadeUpRun('paid', 'paid through the bank');
  // Its successor knows of the first payment only. Callers and the bank remember both.
  const after = () => ({ ...before, database: new MadeUpRun('paid').database });
  const lost = findLost(before.database, after().database);
  const [reference = ''] = before.bank.bookings.map(booking => booking.reference);
  const named: Named[] = [{ kind: 'unknown_to_us', reference }];

  const judge = (witnesses: Witnesses, names: Named[], tail = lost) => judgeLoss(witnesses, tail, names);
  const sentences = ({ violations }: { violations: readonly Violation[] }) =>
    violations.map(({ what }) => what);

  it('is found by comparing what both servers know', () => {
    expect([...lost.payments]).toEqual([reference]);
    expect(judge(after(), named)).toEqual({
      counts: {
        'F27 payments lost': 1,
        'F27 acknowledged payments lost': 1,
        'F27 charges lost, and named by the reconciler': 1,
      },
      violations: [],
    });
  });

  it('has each of its charges named by the reconciler', () => {
    expect(sentences(judge(after(), []))).toEqual(['the reconciler names each charge that was lost']);
  });

  it('has nothing else named', () => {
    const other = { kind: 'charged_twice', reference };
    expect(sentences(judge(after(), [...named, other]))).toEqual(['the reconciler names nothing else']);
  });

  it('is no excuse for a charge that was never in it', () => {
    const none = findLost(before.database, before.database);
    expect(none.payments.size).toBe(0);
    expect(sentences(judge(after(), named, none))).toEqual(['only what was in the tail is lost']);
  });

  it('excuses what checkers say about it, and nothing they say about anything else', () => {
    const found = checkEverything(after());
    expect(found.length).toBeGreaterThan(0);
    expect(found.filter(violation => !lost.isAbout(violation))).toEqual([]);

    const tampered = after();
    const [kept] = tampered.database.payments;
    if (kept) kept.amount += 1;
    const rest = checkEverything(tampered).filter(violation => !lost.isAbout(violation));
    expect(rest.map(({ invariant }) => invariant)).toContain('I2');
  });
});
