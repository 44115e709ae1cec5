/** Everything public, in one place. Only this file re-exports. */
export { systemClock, type Clock } from './clock.js';
export {
  Collision,
  Declined,
  DefinitiveNo,
  Inconclusive,
  NotSent,
  OutcomeUnknown,
  PaySamError,
  Refused,
  Unanswered,
  type FieldError,
  type Problem,
  type WhyEnded,
} from './errors.js';
export type { ClientEvent, GaveUp } from './events.js';
export type { Exchange } from './exchange.js';
export { NotJournaled, type Entry, type Journal, type Unreadable } from './journal/journal.js';
export { MemoryJournal } from './journal/memory-journal.js';
export type { List, Page } from './list.js';
export type { CallOptions, PaySamOptions } from './options.js';
export { PaySam, type IntentOptions, type ListOptions } from './pay-sam.js';
export type { Backoff, Jitter } from './policy/backoff.js';
export { BreakerSettings, CircuitBreaker } from './policy/circuit-breaker.js';
export { RetryBudget, RetryPrices } from './policy/retry-budget.js';
export { problems, type ProblemCode } from './problem-codes.js';
export type { Resumed, ResumeOptions, Resumption } from './resume.js';
export type {
  Account,
  Cancellation,
  Course,
  Operation,
  Payment,
  PaymentParams,
  Rail,
  Refund,
  RefundParams,
  Result,
  Status,
  Transfer,
} from './types.js';
