import type { DataSource } from 'typeorm';
import { Problem } from '../../src/http/problem.js';
import type { Settings } from '../../src/settings.js';
import type { Till } from './till.js';

/** One request for a payment: authenticated, validated, every default spelled out. */
export interface Order {
  customerId: string;
  /** The caller's idempotency key. */
  key: string;
  /** What makes two requests the same, as the real API computes it. */
  fingerprint: string;
  from: string;
  to: string;
  /** Minor units. */
  amount: number;
  currency: string;
  rail: 'ledger' | 'bank';
}

/** What goes over the wire. */
export interface Answer {
  status: number;
  body: string;
}

/** One way to keep a payment from being made twice. All else, from the socket to the books, is the same for all. */
export interface Design {
  /** Tables of its own, made before it first runs. */
  readonly schema?: string;
  /** Before the first request, where something has to be opened. */
  start?(): Promise<void>;
  pay(order: Order): Promise<Answer>;
}

/** What every design is given. Times are those of the settings, under the names they have there. */
export interface Tools {
  dataSource: DataSource;
  till: Till;
  settings: Settings;
}

/** A row that keeps what a key was answered; nothing yet, while somebody is at it. */
export interface KeptAnswer {
  fingerprint: string;
  status: number | null;
  body: string | null;
}

/** What a repeat is told, by the row that its key has left. @throws Problem for another request, or a running one */
export function replay({ fingerprint, status, body }: KeptAnswer, print: string): Answer {
  if (fingerprint !== print) throw new Problem('collision_detected', 'This key belongs to another request.');
  if (status === null || body === null) throw inProgress();
  return { status, body };
}

export function inProgress(): Problem {
  return new Problem('in_progress', 'The first request with this key is still running.');
}
