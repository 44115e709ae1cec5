import type { BankEvent } from '../bank/events.js';
import type { EngineEvent } from '../idempotency/events.js';
import type { RecoveryEvent } from '../recovery/events.js';

/** Hears everything that is said. */
export interface Listener {
  engine(event: EngineEvent): void;
  bank(event: BankEvent): void;
  recovery(event: RecoveryEvent): void;
}
