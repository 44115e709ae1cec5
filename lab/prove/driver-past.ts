import { existsSync, readFileSync, truncateSync } from 'node:fs';
import type { Entry } from '@pay-sam/client';
import type { LogLine, PaymentAsked, RefundAsked } from './driver-log.js';

/** What the log of a driver that was killed tells its successor, which goes on in it. */
export interface DriverPast {
  /** Attempts of the whole log. */
  readonly exchanges: number;
  /** Attempts by operation. */
  readonly attempts: ReadonlyMap<string, number>;
  /** Operations that have begun, by their number. */
  readonly begun: number;
  /** Those of them of which something was asked that nobody knows the end of; or that left no trace at all. */
  readonly open: readonly number[];
}

/**
 * Reads a log that is to be gone on with. A line that is cut short is taken away: it was being written when the driver
 * was killed. If it was about to say what is sent, nothing was; if it was about to say how that ended, nobody knows.
 */
export function readPast(path: string, driver: string): DriverPast {
  const lines = existsSync(path) ? wholeLines(path) : [];
  const attempts = new Map<string, number>();
  const asked = new Map<string, string>();
  const open = new Map<string, number>();
  const traces = new Set<number>();
  let exchanges = 0;
  for (const line of lines) {
    if (line.kind !== 'invoke') {
      // Told what became of it, or told to stop. All else is to be asked again.
      const isOpen = line.status === null || line.status === 202 || line.state === 'in_progress';
      const isEnd = !isOpen && (line.kind === 'ok' || line.headers['should-retry'] === 'false');
      if (isEnd) open.delete(asked.get(line.exchange) ?? '');
      continue;
    }
    exchanges += 1;
    attempts.set(line.operation, (attempts.get(line.operation) ?? 0) + 1);
    const nth = numberOf(line.operation, driver);
    traces.add(nth);
    const request = `${line.operation} ${line.request ?? line.asked}`;
    asked.set(line.exchange, request);
    open.set(request, nth);
  }
  const begun = Math.max(0, ...traces);
  const isOpen = new Set(open.values());
  const all = Array.from({ length: begun }, (_, index) => index + 1);
  return { exchanges, attempts, begun, open: all.filter(nth => isOpen.has(nth) || !traces.has(nth)) };
}

/**
 * What an entry of the client's journal was sent for. The journal has the bytes; what was meant is in the payment's
 * reference, and in the key of a refund.
 */
export function meantBy({ body, key, operation, path }: Entry, from: string): Meant {
  if (operation === 'refund') {
    const params = { payment_id: path.split('/')[2] ?? '', amount: (JSON.parse(body) as RefundAsked).amount };
    return { operation: key.slice('key-'.length), asked: 'refund', params };
  }
  const { to, amount, currency, rail, reference } = JSON.parse(body) as Spelled;
  const params = { to, amount, currency, from, rail: rail ?? 'ledger', reference };
  return { operation: reference ?? '', asked: 'pay', params };
}

/** As it is sent: defaults may be left out. */
type Spelled = Omit<PaymentAsked, 'rail'> & { readonly rail?: PaymentAsked['rail'] };

interface Meant {
  readonly operation: string;
  readonly asked: 'pay' | 'refund';
  readonly params: PaymentAsked | RefundAsked;
}

/** `d1-17`, and `d1-17-back`: the refund of it. */
function numberOf(operation: string, driver: string): number {
  return Number(/^-(\d+)/.exec(operation.slice(driver.length))?.[1] ?? 0);
}

function wholeLines(path: string): LogLine[] {
  const text = readFileSync(path, 'utf8');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) truncateSync(path, Buffer.byteLength(whole));
  return whole
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as LogLine);
}
