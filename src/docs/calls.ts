import type { ProblemCode } from '../http/problems.js';
import * as examples from './examples.js';
import type { Example, Parameter } from './openapi-types.js';
import { parameters } from './headers.js';

/** A call, as far as its controller cannot tell: what it is for, and what may be answered. */
export interface Call {
  readonly summary: string;
  readonly description?: string;
  /** The parameters in its path. */
  readonly path?: Readonly<Record<string, Omit<Parameter, 'name' | 'in'>>>;
  /** Request headers, besides those of every call. */
  readonly takes?: readonly (keyof typeof parameters)[];
  readonly bodies?: Readonly<Record<string, Example>>;
  readonly answers: Readonly<Record<number, Success>>;
  /** What it may be refused with, besides what any call may be. */
  readonly problems: readonly ProblemCode[];
}

export interface Success {
  readonly description: string;
  /** A schema by its name; without one, the answer is text of the type below. */
  readonly schema?: string;
  readonly type?: string;
  readonly headers?: readonly string[];
  readonly examples?: Readonly<Record<string, unknown>>;
}

const idempotent = ['Idempotency-Key', 'Idempotency-Status', 'Idempotency-Expires', 'Preference-Applied'];
const replayed = ['Idempotent-Replayed', 'Idempotency-Original-Date'];
const underWay = [...idempotent, 'Retry-After', 'Location'];

const closedKeys = ['collision_detected', 'in_progress', 'operation_cancelled'] as const;
const wrongPayments = ['unknown_payee', 'currency_mismatch', 'amount_above_limit'] as const;

const paymentId = {
  id: {
    description: 'The id of a payment of yours.',
    schema: { type: 'string', format: 'uuid' },
    example: examples.payment.id,
  },
};
const accountId = {
  id: { description: 'The id of an account of yours.', schema: { type: 'string' }, example: 'alice' },
};
const key = {
  key: { description: 'An idempotency key.', schema: { type: 'string' }, example: '456' },
};

/** Each call of this API under the name of its handler. */
export const calls: Readonly<Record<string, Call>> = {
  payments_pay: {
    summary: 'Pay',
    description:
      'Moves money once for each key. The answer got lost? Send the same again: it gets the same status and the same ' +
      'bytes, and nobody is paid twice. Another request under the same key is refused.',
    takes: ['Idempotency-Key', 'Prefer'],
    bodies: examples.paymentBodies,
    answers: {
      200: {
        description: 'Paid. A repeat gets the same bytes, with `Idempotent-Replayed: true`.',
        schema: 'Payment',
        headers: [...idempotent, ...replayed],
        examples: { paid: examples.payment },
      },
      202: {
        description:
          'On rail `bank`: the money is reserved, and your wait is over. It goes on without you; ask `Location`.',
        schema: 'Payment',
        headers: underWay,
        examples: { pending: examples.pendingPayment },
      },
    },
    problems: [
      'idempotency_key_missing',
      'idempotency_key_invalid',
      'insufficient_funds',
      'declined_by_bank',
      'not_found',
      ...closedKeys,
      ...wrongPayments,
    ],
  },
  payments_refund: {
    summary: 'Refund a payment, in part or in whole',
    description: 'An operation with a key of its own. All refunds of a payment never exceed it.',
    path: paymentId,
    takes: ['Idempotency-Key', 'Prefer'],
    bodies: examples.refundBodies,
    answers: {
      200: {
        description: 'Given back.',
        schema: 'Refund',
        headers: [...idempotent, ...replayed],
        examples: { refunded: examples.refund },
      },
    },
    problems: [
      'idempotency_key_missing',
      'idempotency_key_invalid',
      'insufficient_funds',
      'not_found',
      ...closedKeys,
      'refund_exceeds_payment',
    ],
  },
  payments_list: {
    summary: 'List your payments',
    answers: {
      200: {
        description: 'A page, newest first.',
        schema: 'PaymentList',
        examples: { page: examples.listOf(examples.payment) },
      },
    },
    problems: [],
  },
  payments_show: {
    summary: 'Look at a payment',
    path: paymentId,
    answers: {
      200: {
        description: 'The payment as it is now.',
        schema: 'Payment',
        examples: { paid: examples.payment },
      },
    },
    problems: ['not_found'],
  },
  accounts_list: {
    summary: 'List your accounts',
    answers: {
      200: {
        description: 'All of them.',
        schema: 'AccountList',
        examples: { all: examples.listOf(examples.account) },
      },
    },
    problems: [],
  },
  accounts_show: {
    summary: 'Look at an account',
    path: accountId,
    answers: {
      200: {
        description: 'The account and its balance.',
        schema: 'Account',
        examples: { alice: examples.account },
      },
    },
    problems: ['not_found'],
  },
  accounts_transfers: {
    summary: 'List the transfers of an account',
    path: accountId,
    answers: {
      200: {
        description: 'A page, newest first.',
        schema: 'TransferList',
        examples: { page: examples.listOf(examples.transfer) },
      },
    },
    problems: ['not_found'],
  },
  operations_show: {
    summary: 'What became of a key?',
    path: key,
    answers: {
      200: {
        description: 'How far it came, and the stored answer once there is one.',
        schema: 'Operation',
        examples: { completed: examples.completedOperation, in_progress: examples.runningOperation },
      },
    },
    problems: ['not_found'],
  },
  operations_put: {
    summary: 'Say what is to be, once',
    description:
      'The same as the POST with this key in its header: however often it is put, it happens once. A decline is a ' +
      'result like any other: 200, and what the operation’s own caller would be told is in `response`.',
    path: key,
    takes: ['Prefer'],
    bodies: examples.operationBodies,
    answers: {
      200: {
        description: 'The operation, at its end.',
        schema: 'Operation',
        headers: [...idempotent, ...replayed, 'Should-Retry'],
        examples: { completed: examples.completedOperation },
      },
      202: {
        description: 'The operation, still under way: your wait is over.',
        schema: 'Operation',
        headers: underWay,
        examples: { in_progress: examples.runningOperation },
      },
    },
    problems: [
      'idempotency_key_invalid',
      'not_found',
      ...closedKeys,
      ...wrongPayments,
      'refund_exceeds_payment',
    ],
  },
  operations_cancel: {
    summary: 'Close a key',
    description:
      'For a caller who does not know whether its request arrived, and no longer wants it to. A key never seen is ' +
      'closed for good; what was not yet sent to the bank is undone; what may be there is left alone.',
    path: key,
    answers: {
      200: {
        description: 'Closed: nothing was paid under this key, and nothing will be.',
        schema: 'Operation',
        examples: { cancelled: examples.cancelledOperation },
      },
    },
    problems: ['not_found', 'in_progress', 'already_completed'],
  },
  problems_show: {
    summary: 'A page about a problem',
    description: 'What `type` in a problem links to: what it means, when it occurs, what to do.',
    path: {
      code: {
        description: 'The `code` of a problem.',
        schema: { type: 'string' },
        example: 'collision_detected',
      },
    },
    answers: { 200: { description: 'The page.', type: 'text/html' } },
    problems: ['not_found'],
  },
  health_live: {
    summary: 'Is this process alive?',
    answers: { 200: { description: 'It is.', schema: 'Health' } },
    problems: [],
  },
  health_ready: {
    summary: 'Is it ready to work?',
    description: 'Asks the database, too.',
    answers: { 200: { description: 'It is.', schema: 'Health' } },
    problems: [],
  },
  metrics_scrape: {
    summary: 'Figures for Prometheus',
    answers: { 200: { description: 'The text format, version 0.0.4.', type: 'text/plain' } },
    problems: [],
  },
  docs_show: {
    summary: 'This document',
    answers: { 200: { description: 'OpenAPI 3.0.', type: 'application/json' } },
    problems: [],
  },
};
