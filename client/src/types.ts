/** Amounts are integers in the currency's minor unit: 10000 GBP is £100.00. Times are RFC 3339, UTC. */

export type Rail = 'ledger' | 'bank';
export type Status = 'succeeded' | 'pending' | 'declined' | 'cancelled';

export interface PaymentParams {
  to: string;
  amount: number;
  currency: string;
  /** An account of the caller's. Left out: its only one in that currency. */
  from?: string;
  /** `ledger`, the default: both accounts are in the service's books. `bank`: the money leaves through another bank. */
  rail?: Rail;
  /** For people to read, up to 140 characters. */
  reference?: string;
  /** Never part of what makes a request the same request. */
  client_timestamp?: string;
}

export interface RefundParams {
  amount: number;
}

interface Movement {
  readonly id: string;
  readonly status: Status;
  readonly from: string;
  readonly to: string;
  readonly amount: number;
  readonly currency: string;
  readonly rail: Rail;
  readonly reference: string | null;
  readonly decline: { readonly code: string; readonly message: string } | null;
  readonly bank_transfer_id: string | null;
  readonly idempotency_key: string;
  readonly created_at: string;
  readonly completed_at: string | null;
}

export interface Payment extends Movement {
  readonly object: 'payment';
  /** How much of it has been refunded. */
  readonly refunded: number;
}

export interface Refund extends Movement {
  readonly object: 'refund';
  readonly payment_id: string;
}

export interface Operation {
  readonly key: string;
  readonly object: 'operation';
  /** Null for a key that was closed before it was ever used. */
  readonly operation: 'payment' | 'refund' | null;
  readonly state: 'in_progress' | 'completed' | 'cancelled' | 'parked';
  readonly recovery_point: string;
  /** This and the next three are null once only the payment itself remembers the key. */
  readonly attempts: number | null;
  readonly duplicates: number | null;
  readonly first_seen_at: string | null;
  readonly last_seen_at: string | null;
  /** When the stored answer may go; null for a key that was cancelled, which stays closed for ever. */
  readonly expires_at: string | null;
  /** Seconds after which to ask again; null once there is nothing to wait for. */
  readonly retry_after: number | null;
  readonly request: Readonly<Record<string, unknown>> | null;
  /** The stored answer; its body is the text that was sent, byte for byte. */
  readonly response: { readonly status: number; readonly body: string } | null;
}

/** What became of a wish to cancel. */
export type Cancellation =
  | { readonly kind: 'cancelled'; readonly operation: Operation }
  /** Too late: this is the answer that the operation came to. */
  | {
      readonly kind: 'already_completed';
      readonly response: { readonly status: number; readonly body: string };
    };

export interface Account {
  readonly id: string;
  readonly object: 'account';
  readonly currency: string;
  readonly balance: { readonly posted: number; readonly pending: number; readonly available: number };
}

export interface Transfer {
  readonly id: string;
  readonly object: 'transfer';
  readonly payment_id: string;
  readonly debit_account: string;
  readonly credit_account: string;
  readonly amount: number;
  readonly state: 'pending' | 'posted' | 'voided';
  readonly created_at: string;
}

/** What one call came to, and how: in every result, and in every error. */
export interface Course {
  /** The key of the intended payment or refund; null where a call moves no money. Ask with it, retry with it. */
  readonly idempotencyKey: string | null;
  /** How often the request was sent, or tried to be. */
  readonly attempts: number;
  /** The server's ids of those attempts that it answered, in order. */
  readonly requestIds: readonly string[];
  /** The headers of the last answer; null where there was none. */
  readonly headers: Headers | null;
  /** Whether the answer had been given before: to this call's own earlier attempt, or to another call with its key. */
  readonly replayed: boolean;
}

export interface Result<T> extends Course {
  readonly data: T;
  readonly status: number;
  readonly headers: Headers;
}
