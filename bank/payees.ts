import type { Call, Fault } from './faults.js';

/**
 * Payees whose name chooses what becomes of their transfers; any other name is paid. What goes wrong, goes wrong
 * for new transfers only: once the books hold one, every call about it is answered as it should be.
 *
 *     dee   is declined
 *     tim   is charged for, then the answer never comes
 *     rex   is charged for, then the answer is 500
 *     nia   the first request of a reference is neither written nor answered
 *     flo   the first three requests of a reference get 503, nothing is written
 */
export class Payees {
  /** Failed requests of references that have no transfer yet. Lost on a restart: then they fail again. */
  private readonly failures = new Map<string, number>();

  fault({ method, reference = '', creditor = '', known }: Call): Fault | undefined {
    if (method !== 'PUT' || known) return undefined;
    switch (creditor) {
      case 'dee':
        return { kind: 'decline', decline: { code: 'account_closed', message: 'The account is closed.' } };
      case 'tim':
        return { kind: 'timeout_after' };
      case 'rex':
        return { kind: 'error_after' };
      case 'nia':
        return this.fails(reference, 1) ? { kind: 'timeout_before' } : undefined;
      case 'flo':
        return this.fails(reference, 3) ? { kind: 'error_before', status: 503 } : undefined;
      default:
        return undefined;
    }
  }

  private fails(reference: string, times: number): boolean {
    const failures = this.failures.get(reference) ?? 0;
    if (failures < times) this.failures.set(reference, failures + 1);
    else this.failures.delete(reference);
    return failures < times;
  }
}
