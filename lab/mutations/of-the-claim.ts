import type { Mutation, Patch } from './mutation.js';

const claim = 'src/idempotency/claim.ts';
const onePayment = 'test/promises/one-key-one-payment.spec.ts';
const strangers = 'test/security/customers-are-strangers-to-each-other.spec.ts';

/** Two callers look at the same moment, and neither finds the key. */
const checkThenInsert: readonly Patch[] = [
  {
    file: claim,
    find: '     WHERE ${onlyInTransaction}\n     ORDER BY customer_id, key\n        ON CONFLICT (customer_id, key) DO NOTHING\n',
    replace: `     WHERE \${onlyInTransaction}
       AND NOT EXISTS (SELECT FROM idempotency_keys AS k
                        WHERE k.customer_id = attempt.customer_id AND k.key = attempt.key)
     ORDER BY customer_id, key
`,
  },
];

/** Not even the payment remembers its key. */
export const paymentsForgetTheirKey: Patch = {
  file: 'migrations/0003-payments.ts',
  find: '        CONSTRAINT payments_remember_their_key UNIQUE (customer_id, idempotency_key),\n',
  replace: '',
};

/** Whose key it is, what was asked for under it, and who may know. */
export const mutationsOfTheClaim: readonly Mutation[] = [
  {
    id: 'M2a',
    mistake: 'check, then insert, in place of the unique claim',
    breaks: 'I13: whoever loses the race is told 500',
    patches: checkThenInsert,
    caughtBy: {
      file: onePayment,
      title: 'pays once when the 100 equal requests arrive at two instances (F71)',
    },
  },
  {
    id: 'M2b',
    mistake: 'the same, and no constraint behind it',
    breaks: 'I1: one key, several payments',
    patches: [
      ...checkThenInsert,
      {
        file: 'migrations/0004-idempotency-keys.ts',
        find: '        PRIMARY KEY (customer_id, key),\n',
        replace: '',
      },
      paymentsForgetTheirKey,
      {
        // Two rows of one key are two that are written, and that is noticed too.
        file: claim,
        find: "if (recorded !== rows.length) throw new Bug('PS-101',",
        replace: "if (recorded < rows.length) throw new Bug('PS-101',",
      },
    ],
    caughtBy: {
      file: onePayment,
      title: 'pays once when the 100 equal requests arrive at two instances (F71)',
    },
  },
  {
    id: 'M13a',
    mistake: 'the fingerprint leaves out the operation',
    breaks: 'I14: two operations with equal parameters are one request',
    patches: [
      {
        file: 'src/idempotency/fingerprint.ts',
        find: 'canonical([fingerprintVersion, operation, params])',
        replace: 'canonical([fingerprintVersion, params])',
      },
    ],
    caughtBy: {
      file: 'src/idempotency/fingerprint.spec.ts',
      title: 'is another one when any member changes, comes or goes, or the operation does',
    },
  },
  {
    id: 'M13b',
    mistake: 'the fingerprint leaves out the payment that the path names',
    breaks: 'I14: a refund of one payment is replayed for another',
    patches: [
      {
        file: 'src/idempotency/fingerprint.ts',
        find: 'canonical([fingerprintVersion, operation, params])',
        replace: 'canonical([fingerprintVersion, operation, { ...params, payment_id: undefined }])',
      },
    ],
    caughtBy: {
      file: 'test/promises/refunds-never-exceed-the-payment.spec.ts',
      title: 'a key is good for one operation, %s (F74)',
      filledWith: 'while the stored answers are there',
    },
  },
  {
    id: 'M14a',
    mistake: 'keys are not kept apart by customer',
    breaks: 'I9: a stranger’s key is taken, and his request is told about it',
    patches: [
      {
        file: 'migrations/0004-idempotency-keys.ts',
        find: 'PRIMARY KEY (customer_id, key),',
        replace: 'PRIMARY KEY (key),',
      },
      {
        file: claim,
        find: 'ON CONFLICT (customer_id, key) DO NOTHING',
        replace: 'ON CONFLICT (key) DO NOTHING',
      },
      {
        file: claim,
        find: 'AS wanted (customer_id, key) USING (customer_id, key)`',
        replace: 'AS wanted (customer_id, key) USING (key)`',
      },
      {
        file: claim,
        find: 'return `${customerId}/${key}`;',
        replace: 'return `${customerId && key}`;',
      },
    ],
    caughtBy: {
      file: strangers,
      title: 'one key of two customers is two keys: two payments, and no value shared (S01)',
    },
  },
  {
    id: 'M14b',
    mistake: 'answers are kept in memory by key alone',
    breaks: 'I9: a stranger’s answer is found there',
    patches: [
      {
        file: 'src/idempotency/finished-answers.ts',
        find: 'return this.rows.get(ownerToString(customerId, key));',
        replace: 'return this.rows.get(customerId && key);',
      },
      {
        file: 'src/idempotency/finished-answers.ts',
        find: 'this.rows.set(ownerToString(attempt.customerId, attempt.key), {',
        replace: 'this.rows.set(attempt.key, {',
      },
    ],
    caughtBy: {
      file: strangers,
      title: 'nor does he meet her answer where it is kept in memory, for those who repeat (S01)',
    },
  },
  {
    id: 'M15',
    mistake: 'a header line is accepted twice',
    breaks: 'B06, B07: two readers see two keys',
    patches: [
      {
        file: 'src/idempotency/idempotency-key.ts',
        find: 'if (more.length > 0)',
        replace: 'if (more.length > 9)',
      },
    ],
    caughtBy: { file: 'test/edges/bad-inputs.spec.ts', title: '%s: %s', filledWith: 'B06' },
  },
  {
    id: 'M16',
    mistake: 'a used key is replayed before the caller is authenticated',
    breaks: 'S24, B119: a revoked API key still gets stored answers',
    patches: [
      {
        file: 'src/http/authentication.guard.ts',
        find: "    if (caller === unknownCaller) throw unauthenticated('This API key is unknown or has been revoked.');\n",
        replace: `    if (caller === unknownCaller) {
      const key = String(request.headers['idempotency-key']).replaceAll('"', '');
      const [used] = await this.apiKeys['dataSource'].query(
        "SELECT customer_id FROM idempotency_keys WHERE key = $1 AND recovery_point = 'finished'",
        [key],
      );
      if (!used) throw unauthenticated('This API key is unknown or has been revoked.');
      request.caller = { customerId: used.customer_id, scopes: ['read', 'pay'], isKeyless: false };
      return true;
    }
`,
      },
    ],
    caughtBy: {
      file: strangers,
      title: 'a revoked key is refused at once, on replays, operations and cancels alike (S24)',
    },
  },
];
