import type { Transfer } from './books.js';

/** What faults and barriers choose by. */
export interface Call {
  method: 'PUT' | 'GET';
  /** Undefined: the statement is asked for. */
  reference?: string;
  creditor?: string | undefined;
  known?: Transfer | undefined;
}

/** Which calls are meant. The statement is, only when it is named; 'only': and nothing else. */
export interface Target {
  method?: 'PUT' | 'GET' | undefined;
  reference?: string | undefined;
  creditor?: string | undefined;
  statement?: boolean | 'only' | undefined;
}

export function isMeant({ method, reference, creditor, statement = false }: Target, call: Call): boolean {
  if (call.reference === undefined) return statement !== false;
  if (statement === 'only' || (method && method !== call.method)) return false;
  if (reference !== undefined && reference !== call.reference) return false;
  return creditor === undefined || creditor === call.creditor;
}

const always = () => true;
const transfers = ({ method, known }: Call) => method === 'PUT' || known !== undefined;
const known = (call: Call) => call.known !== undefined;
const lookUps = (call: Call) => call.method === 'GET' && known(call);
const puts = ({ method }: Call) => method === 'PUT';
const newTransfers = (call: Call) => puts(call) && !known(call);

/** What can go wrong, and with which calls it can. A call it cannot go wrong with does not use it up. */
const kinds = {
  /** Nothing is written and nothing answered; the connection drops at last. */
  timeout_before: always,
  /** Carried out, never answered. */
  timeout_after: always,
  /** Answered with an error: nothing is written. */
  error_before: always,
  /** Answered with an error: it has been carried out. */
  error_after: always,
  /** The answer comes later by `delay_ms`. */
  slow: always,
  /** The answer comes byte by byte, one every `delay_ms`: a second. */
  drip: always,
  /** Half of the answer, then RST. */
  reset_in_answer: always,
  /** Carried out, but the answer is about another transfer. */
  wrong_reference: transfers,
  wrong_amount: transfers,
  wrong_currency: transfers,
  /** Carried out, but the answer is a page, nothing at all, half a JSON text, or 5 MiB of it. */
  html: always,
  empty: always,
  broken_json: always,
  huge: always,
  /** 307 to `location`. Nothing is written. */
  redirect: always,
  /** 429 with `retry_after`. Nothing is written. */
  rate_limited: always,
  /** 409: somebody else is said to be at it. Nothing is written. */
  in_progress: puts,
  /** The reference is forgotten before the call is looked at. */
  forget: known,
  /** The bank ignores its own references: one charge more than there should be. */
  double_charge: puts,
  /** Declined, with a code that no payee has. */
  decline: newTransfers,
  /** Told to be declined, although it is charged. */
  decline_despite_charge: puts,
  /** Told to be unknown, although it is known: as when one server lags behind the other. */
  not_found: lookUps,
  /** Accepted; at the time it should settle, the money comes back. */
  returned: newTransfers,
  never_settles: newTransfers,
} satisfies Record<string, (call: Call) => boolean>;

export type FaultKind = keyof typeof kinds;
export const faultKinds = Object.keys(kinds) as FaultKind[];

export interface Fault {
  kind: FaultKind;
  status?: number;
  delay_ms?: number;
  retry_after?: string;
  location?: string;
  decline?: { code: string; message: string };
}

/** Faults that are to happen. The oldest that concerns a call happens to it, and no other. */
export class Faults {
  private readonly planned = new Map<string, { fault: Fault; target: Target; left: number }>();
  /** How many calls each has happened to, also once it is over: one that never did has proved nothing. */
  private readonly struck = new Map<string, number>();
  private readonly struckByKind = new Map<FaultKind, number>();
  private count = 0;

  /** @param times how many calls it happens to; 0: to every one, until it is removed */
  plan(fault: Fault, target: Target, times: number): string {
    const id = `flt_${(this.count += 1)}`;
    this.planned.set(id, { fault, target, left: times || Infinity });
    this.struck.set(id, 0);
    return id;
  }

  take(call: Call): Fault | undefined {
    for (const [id, plan] of this.planned) {
      if (!kinds[plan.fault.kind](call) || !isMeant(plan.target, call)) continue;
      plan.left -= 1;
      this.struck.set(id, (this.struck.get(id) ?? 0) + 1);
      if (plan.left === 0) this.planned.delete(id);
      this.struckByKind.set(plan.fault.kind, (this.struckByKind.get(plan.fault.kind) ?? 0) + 1);
      return plan.fault;
    }
    return undefined;
  }

  /** How many calls each fault has happened to since the last reset, by its id, and each kind of fault. */
  tellStruck(): Record<'struck' | 'struck_by_kind', Record<string, number>> {
    return {
      struck: Object.fromEntries(this.struck),
      struck_by_kind: Object.fromEntries(this.struckByKind),
    };
  }

  /** What has happened stays known. */
  clear(): void {
    this.planned.clear();
  }

  reset(): void {
    this.clear();
    this.struck.clear();
    this.struckByKind.clear();
  }
}
