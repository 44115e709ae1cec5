import { closeSync, createReadStream, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Knows } from './contract.js';

/**
 * What a driver did and was told, written down while it happened: the first of the three witnesses.
 *
 * One line of JSON before the first byte of an attempt is sent, and one when it is known how the attempt ended. Each
 * line is handed to the operating system before the driver goes on: whatever kills the driver, what it sent is
 * known. (A machine that loses power may take the last lines with it; nothing here claims otherwise.)
 *
 * | kind      | when |
 * |-----------|------|
 * | `invoke`  | before the first byte is sent |
 * | `ok`      | 200, 402 |
 * | `fail`    | certainly nothing was done: 400, 401, 403, 404, 405, 413, 415, 422, 429, 431, 409 `collision_detected` and `operation_cancelled`, connection refused |
 * | `unknown` | all else: 202, 408, 409 `in_progress`, 5xx, reset, time-out, truncated body |
 */
export type LogLine = Invoke | Reply;

/** What can be asked of the API. `put` and `cancel` are about the operation under a key, `look` only reads it. */
export type Asked = 'pay' | 'refund' | 'put' | 'cancel' | 'look' | 'accounts';

export interface Invoke {
  readonly kind: 'invoke';
  /** Which attempt of the whole run this is: its reply carries the same. */
  readonly exchange: string;
  /** One intended payment, refund or cancellation, however often it is tried. Also the payment's `reference`. */
  readonly operation: string;
  readonly attempt: number;
  /** By name. Nothing in the log opens an account: API keys are not written down. */
  readonly customer: string;
  /** `null`: the customer cannot send keys, or nothing is asked that needs one. */
  readonly key: string | null;
  readonly asked: Asked;
  /** SHA-256 of what is asked for. Spelled differently, it is the same request; `null` where only a key is named. */
  readonly request: string | null;
  readonly params: PaymentAsked | RefundAsked | null;
  readonly prefer?: string;
  /** Milliseconds by the machine's monotonic clock, which all processes share. */
  readonly at: number;
}

/** Every default spelled out, and without what is never part of the fingerprint. */
export interface PaymentAsked {
  readonly to: string;
  /** Minor units. */
  readonly amount: number;
  readonly currency: string;
  readonly from: string;
  readonly rail: 'ledger' | 'bank';
  readonly reference: string | null;
}

export interface RefundAsked {
  readonly payment_id: string;
  readonly amount: number;
}

export interface Reply {
  readonly kind: Knows;
  readonly exchange: string;
  readonly at: number;
  /** `null`: no whole answer came, and `why` says what came instead. */
  readonly status: number | null;
  readonly why?: string;
  readonly code?: string;
  /** Those of `headersKept` that were there. */
  readonly headers: Readonly<Partial<Record<HeaderKept, string>>>;
  /** SHA-256 of the body, byte for byte. */
  readonly body: string | null;
  /** The payment or refund that the answer is about. */
  readonly told?: Told;
  /** An operation shows the answer that is stored under its key. */
  readonly inside?: StoredAnswer;
  /** What an operation says of itself. */
  readonly state?: string;
  readonly differsIn?: readonly string[];
  /** Values of another request that this answer should not have repeated. */
  readonly discloses?: readonly string[];
  readonly balances?: readonly Balance[];
}

export interface Told {
  readonly id: string;
  readonly status: string;
  readonly amount: number;
  readonly currency: string;
}

export interface StoredAnswer {
  readonly status: number;
  readonly body: string;
  readonly told?: Told;
}

export interface Balance {
  readonly id: string;
  readonly posted: number;
  readonly pending: number;
  readonly available: number;
}

/** Those of I3, which may differ from answer to answer, and those of I13, which say what to do. */
export const headersKept = [
  'idempotency-key',
  'idempotency-status',
  'idempotent-replayed',
  'idempotency-original-date',
  'idempotency-expires',
  'should-retry',
  'retry-after',
  'request-id',
] as const;

export type HeaderKept = (typeof headersKept)[number];

/** An attempt and how it ended. No reply: the driver died before it could write one, so nobody knows. */
export interface Exchange {
  readonly invoke: Invoke;
  readonly reply: Reply | null;
}

/** Written by one process. Several drivers write several logs. */
export class DriverLog {
  private readonly file: number;

  constructor(path: string) {
    this.file = openSync(path, 'a');
  }

  /** When this returns, the line survives whatever becomes of this process. */
  write(line: LogLine): void {
    const bytes = Buffer.from(JSON.stringify(line) + '\n');
    for (let written = 0; written < bytes.length;) written += writeSync(this.file, bytes, written);
  }

  close(): void {
    closeSync(this.file);
  }
}

/** The machine's monotonic clock, in milliseconds: comparable between processes, and nobody sets it back. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

/**
 * Reads whole logs, each invoke with its reply, in the order in which they were sent.
 *
 * The last line of a log may be cut short: its driver was killed while it wrote. Anywhere else that is an error.
 *
 * @throws Error that names the line: a log that is not whole is no witness
 */
export async function readDriverLogs(paths: readonly string[]): Promise<Exchange[]> {
  const exchanges = new Map<string, { invoke: Invoke; reply: Reply | null }>();
  for (const path of paths) {
    let number = 0;
    let broken: string | undefined;
    for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
      number += 1;
      if (broken !== undefined) throw new Error(broken);
      const line = parse(text);
      if (line === undefined)
        broken = `${path}:${number} is not a line of a driver log: ${text.slice(0, 80)}`;
      else if (line.kind !== 'invoke') answer(line, `${path}:${number}`);
      else if (exchanges.has(line.exchange))
        throw new Error(`${path}:${number} invokes ${line.exchange} again`);
      else exchanges.set(line.exchange, { invoke: line, reply: null });
    }
  }
  return [...exchanges.values()].sort((one, other) => one.invoke.at - other.invoke.at);

  function answer(reply: Reply, place: string): void {
    const exchange = exchanges.get(reply.exchange);
    if (!exchange) throw new Error(`${place} is a reply to nothing: ${reply.exchange}`);
    if (exchange.reply) throw new Error(`${place} is a second reply: ${reply.exchange}`);
    exchange.reply = reply;
  }
}

function parse(text: string): LogLine | undefined {
  try {
    const line = JSON.parse(text) as Partial<LogLine>;
    return typeof line.exchange === 'string' && typeof line.kind === 'string' ? (line as LogLine) : undefined;
  } catch {
    return undefined;
  }
}
