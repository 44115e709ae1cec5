import { invalid, type Answer, type Exchange } from './answer.js';
import type { Moment } from './barriers.js';
import { oneOf, readBody, readNumber, text, whole, type Members } from './body.js';
import { faultKinds, type Fault, type Target } from './faults.js';
import { timeMaxMs, type BankSettings } from './settings.js';
import type { Bank } from './transfers.js';

/** Which calls a fault or a barrier is for. Left out: any; `times`: once, and 0 for every one. */
const targetMembers: Members = {
  method: oneOf(['PUT', 'GET']),
  reference: text(/./, 'a reference'),
  creditor: text(/./, 'a name'),
  times: whole(0, 1_000_000),
};

const faultMembers: Members = {
  ...targetMembers,
  kind: { ...oneOf(faultKinds), needed: true },
  statement: oneOf([true, false, 'only']),
  status: whole(400, 599),
  delay_ms: whole(0, timeMaxMs),
  retry_after: text(/^[\x20-\x7e]+$/, 'seconds or an HTTP date'),
  location: text(/^[\x21-\x7e]+$/, 'an address'),
};

const barrierMembers: Members = { ...targetMembers, at: { ...oneOf(['before', 'after']), needed: true } };

/** What may change while the bank runs. It applies from the next call on; transfers already made keep their time. */
const changes = { settle_ms: 'settleMs', delay_ms: 'delayMs', remembers_ms: 'remembersMs' } as const;
const changeMembers: Members = Object.fromEntries(
  Object.keys(changes).map(name => [name, whole(0, timeMaxMs)]),
);

const done: Answer = { status: 204 };

/**
 * How tests choose what goes wrong, and see what happened; each path is a case below. It exists only with
 * BANK_CONTROL=1. Faults and barriers act on calls under /transfers, never on these.
 *
 * @returns undefined when there is no such path
 */
export async function serveControl(bank: Bank, { request, url }: Exchange): Promise<Answer | undefined> {
  const [, , subject = '', id] = url.pathname.split('/');
  switch (`${request.method ?? ''} ${subject}${id === undefined ? '' : '/…'}`) {
    case 'POST faults':
      return planFault(bank, await readBody<Fault & Target & { times?: number }>(request, faultMembers));
    case 'GET faults':
      return { status: 200, body: bank.faults.tellStruck() };
    case 'DELETE faults':
      bank.faults.clear();
      return done;
    case 'POST barriers': {
      const {
        at,
        times = 1,
        ...target
      } = await readBody<Target & { at: Moment; times?: number }>(request, barrierMembers);
      return { status: 201, body: { id: bank.barriers.raise(at, target, times) } };
    }
    case 'GET barriers/…': {
      const body = await bank.barriers.watch(id ?? '', readNumber(url, 'wait_ms', 0, [0, 600_000]));
      return body && { status: 200, body };
    }
    case 'DELETE barriers/…':
      return bank.barriers.remove(id ?? '') ? done : undefined;
    case 'GET requests':
      return { status: 200, body: bank.requests.list(url.searchParams.get('reference')) };
    case 'POST reset':
      bank.faults.reset();
      bank.barriers.clear();
      bank.requests.clear();
      return done;
    case 'POST settings': {
      const values = await readBody<Record<keyof typeof changes, number>>(request, changeMembers);
      for (const name of Object.keys(values) as (keyof typeof changes)[]) {
        bank.settings[changes[name] satisfies keyof BankSettings] = values[name];
      }
      return done;
    }
    case 'GET books':
      return { status: 200, body: bank.books.totals() };
    default:
      return undefined;
  }
}

function planFault(bank: Bank, body: Fault & Target & { times?: number }): Answer {
  const { method, reference, creditor, statement, times = 1, ...fault } = body;
  if (fault.kind === 'redirect' && !fault.location)
    throw invalid('location: must be an address to redirect to.');
  if (fault.kind === 'slow' && !fault.delay_ms) throw invalid('delay_ms: must be how much later it answers.');
  return {
    status: 201,
    body: { id: bank.faults.plan(fault, { method, reference, creditor, statement }, times) },
  };
}
