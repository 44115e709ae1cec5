import { LRUCache } from 'lru-cache';
import type { BankEvent } from '../bank/events.js';
import type { EngineEvent, EnginePoint } from '../idempotency/events.js';
import type { RecoveryPoint } from '../idempotency/operation.js';
import type { RecoveryEvent } from '../recovery/events.js';
import type { Listener } from './listener.js';
import type { Count, Metrics } from './metrics.js';

/**
 * Which event moves which metric.
 *
 * Payments on rail ledger share transactions: each of them says `answered`, all else they say once a batch. So
 * `answered` must cost next to nothing, and looks at no attempt.
 */
export class EventCounter implements Listener {
  /**
   * When each transaction began, under the first attempt in it: an attempt is in one transaction at a time. Those of
   * the past are forgotten when a thousand others have begun: there are never as many on the road.
   */
  private readonly begun = new LRUCache<string, number>({ max: 1_000 });

  private readonly countAt: Partial<Record<EnginePoint, (event: EngineEvent) => void>> = {
    answered: ({ outcome }) => {
      this.metrics.answers[outcome ?? 'failed'].inc();
    },
    boarding: event => {
      this.begun.set(transactionOf(event), performance.now());
    },
    committed: event => {
      this.countTransaction(event);
    },
    batch_repeated: () => {
      this.metrics.batchRepeats.inc();
    },
    batch_split: () => {
      this.metrics.batchSplits.inc();
    },
    taken_over: event => {
      count(event, this.metrics.takeovers);
    },
    fenced: event => {
      count(event, this.metrics.fenced);
    },
    postponed: event => {
      count(event, this.metrics.postponed);
    },
    parked: event => {
      count(event, this.metrics.parked);
    },
    cancelled: event => {
      count(event, this.metrics.cancelled);
    },
    stranded: event => {
      count(event, this.metrics.stranded);
    },
  };

  constructor(private readonly metrics: Metrics) {}

  engine(event: EngineEvent): void {
    this.countAt[event.point]?.(event);
  }

  bank(event: BankEvent): void {
    if ('circuit' in event) {
      this.metrics.setCircuit(event.circuit);
      return;
    }
    this.metrics.bank[event.call][event.kind].inc();
    // What never left the house says nothing about how fast the bank is.
    if (event.kind !== 'not_sent') this.metrics.bankSeconds[event.call].observe(event.ms / 1_000);
  }

  recovery(event: RecoveryEvent): void {
    if ('error' in event) {
      this.metrics.workerErrors[event.worker].inc();
      return;
    }
    this.metrics.setWorkerSuccess(event.worker);
    if (event.worker === 'reaper') this.metrics.reapedKeys.inc(event.reaped);
    if (event.worker === 'reconciler') this.metrics.setDifferences(event.differencesFound);
  }

  private countTransaction(event: EngineEvent): void {
    this.metrics.batchSize.observe(event.batchSize);
    const begun = this.begun.get(transactionOf(event));
    if (begun !== undefined) this.metrics.transactionSeconds.observe((performance.now() - begun) / 1_000);
  }
}

function transactionOf({ attempts: [first] }: EngineEvent): string {
  return first?.attemptId ?? '';
}

function count({ attempts }: EngineEvent, by: Partial<Record<RecoveryPoint, Count>>): void {
  for (const { recoveryPoint } of attempts) by[recoveryPoint]?.inc();
}
