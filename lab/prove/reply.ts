import { createHash } from 'node:crypto';
import { kindOfAnswer } from './contract.js';
import {
  headersKept,
  type Asked,
  type Balance,
  type HeaderKept,
  type Reply,
  type Told,
} from './driver-log.js';
import type { Ended } from './send.js';

/** What the writer of a log knows of an attempt besides its end. */
export interface About {
  readonly exchange: string;
  readonly at: number;
  readonly asked: Asked;
  /** Values of the request that this one collides with, which are none of its business. */
  readonly notToTell?: readonly string[];
}

/** The line of the log for how an attempt ended. The body itself is not kept: its hash is, and what it is about. */
export function replyOf(end: Ended, { exchange, at, asked, notToTell = [] }: About): Reply {
  if (end.kind === 'silence') {
    const kind = end.why === 'ECONNREFUSED' ? 'fail' : 'unknown';
    return { kind, exchange, at, status: null, why: end.why, headers: {}, body: null };
  }
  const { status, text } = end;
  const json = parse(text);
  const isOperation = asked === 'put' || asked === 'look' || asked === 'cancel';
  const code = status >= 400 && typeof json.code === 'string' ? json.code : undefined;
  const told = isOperation ? undefined : toldIn(json);
  // Whole words only: a short number may well be part of a longer one.
  const discloses = notToTell.filter(value => new RegExp(`(?<!\\w)${value}(?!\\w)`).test(text));
  const stored = json.response as { status: number; body: string } | null | undefined;
  return {
    kind: kindOfAnswer(status, code),
    exchange,
    at,
    status,
    headers: Object.fromEntries(
      headersKept.flatMap((name): [HeaderKept, string][] => {
        const value = end.headers.get(name);
        return value === undefined ? [] : [[name, value]];
      }),
    ),
    body: sha256(text),
    ...(code !== undefined && { code }),
    ...(told && { told }),
    ...(isOperation && stored && { inside: insideOf(stored) }),
    ...(isOperation && typeof json.state === 'string' && { state: json.state }),
    ...(Array.isArray(json.differs_in) && { differsIn: json.differs_in as string[] }),
    ...(discloses.length > 0 && { discloses }),
    ...(asked === 'accounts' && status === 200 && { balances: balancesIn(json) }),
  };
}

/** The stored answer comes as a string, byte for byte: its hash is comparable with that of any other answer. */
function insideOf({ status, body }: { status: number; body: string }) {
  const told = toldIn(parse(body));
  return { status, body: sha256(body), ...(told && { told }) };
}

/** A problem carries the payment or the refund that was declined. */
function toldIn(json: Record<string, unknown>): Told | undefined {
  const about = (json.payment ?? json.refund ?? json) as Partial<Told>;
  const { id, status, amount, currency } = about;
  if (id === undefined || amount === undefined || currency === undefined || status === undefined)
    return undefined;
  return { id, status, amount, currency };
}

/** `GET /accounts` lists all of the caller's own; a caller here has one, far below the size of a page. */
function balancesIn(json: Record<string, unknown>): Balance[] {
  const accounts = json.data as { id: string; balance: Omit<Balance, 'id'> }[];
  return accounts.map(({ id, balance: { posted, pending, available } }) => ({
    id,
    posted,
    pending,
    available,
  }));
}

/** An answer that is no JSON object is about nothing. */
function parse(text: string): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
