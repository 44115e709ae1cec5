import type { Mutation, Patch } from './mutation.js';
import { paymentsForgetTheirKey } from './of-the-claim.js';

const transaction = 'src/database/transaction.ts';
const engine = 'src/idempotency/run-operation.ts';
const commit = "    const { command } = await connection.query('COMMIT');\n";
const lostCommit = {
  file: 'test/promises/a-lost-commit-is-not-a-lost-payment.spec.ts',
  title: '%s: the caller gets a first answer, and Sam one payment',
};
const beforeTheServer = { ...lostCommit, filledWith: 'before it reached the server (F30)' };
const afterTheServer = { ...lostCommit, filledWith: 'after the server had done it (F31)' };
const killedAfterCommit = {
  file: 'test/crashes/a-crash-is-no-answer.spec.ts',
  title: 'after COMMIT, before anybody was told (F09, K8): the retry gets the stored answer',
};

const answersAreNotRecorded: Patch = {
  file: 'src/idempotency/atomic-phase.ts',
  find: `    recordAnswers(
      tx,
      ends.flatMap(({ end }) => (end.kind === 'finished' ? [end] : [])),
      at,
    ),
`,
  replace: '',
};

/** What is true together, when it is told, and what is known when the word about it was lost. */
export const mutationsOfTheTransaction: readonly Mutation[] = [
  {
    id: 'M1',
    mistake: 'COMMIT does not wait for the disk: synchronous_commit = off',
    breaks: 'I2: acknowledged payments are gone after a crash',
    patches: [
      {
        file: 'src/data-source.ts',
        find: '      keepAlive: true,\n',
        replace: "      keepAlive: true,\n      options: '-c synchronous_commit=off',\n",
      },
    ],
    caughtBy: {
      file: 'test/crashes/the-database-is-killed.spec.ts',
      title:
        'ten times in a row, under load: each key is one payment and one charge, whatever its callers were told',
    },
  },
  {
    id: 'M12a',
    mistake: 'a lost COMMIT is taken for a failed one',
    breaks: 'I2: told that it failed, and it is done',
    patches: [
      {
        file: transaction,
        find: commit,
        replace: `    const { command } = await connection.query('COMMIT').catch((cause: unknown) => {
      throw Object.assign(new Error('COMMIT failed', { cause }), { code: '40000' });
    });
`,
      },
    ],
    caughtBy: afterTheServer,
  },
  {
    id: 'M12b',
    mistake: 'a lost COMMIT is taken for done',
    breaks: 'I2: told that it is done, and it is not',
    patches: [
      {
        file: transaction,
        find: commit,
        replace:
          "    const { command } = await connection.query('COMMIT').catch(() => ({ command: 'COMMIT' }));\n",
      },
    ],
    caughtBy: beforeTheServer,
  },
  {
    id: 'M17',
    mistake: 'a transaction is open while the bank is asked',
    breaks: 'F35: a slow bank takes every connection',
    patches: [
      {
        file: 'src/idempotency/drive.ts',
        find: 'const result = await phase.call(this.outside, held, signal);',
        replace: `const result = await this.transactions['dataSource'].transaction(() =>
      phase.call(this.outside, held, signal),
    );`,
      },
    ],
    caughtBy: {
      file: 'test/promises/nothing-is-held-during-a-call.spec.ts',
      title: 'while the bank %s',
      filledWith: 'is asked to pay',
    },
  },
  {
    id: 'M18',
    mistake: 'the pool is closed in onModuleDestroy, which runs before the requests in flight are answered',
    breaks: 'F17: a stop fails them',
    patches: [
      {
        file: engine,
        find: '  /** Nest calls this first: what is under way gets',
        replace: `  async onModuleDestroy(): Promise<void> {
    await this.dataSource.destroy();
  }

  /** Nest calls this first: what is under way gets`,
      },
    ],
    caughtBy: {
      file: 'test/crashes/a-stop-loses-nobody.spec.ts',
      title: 'requests in flight are answered, new ones are refused, and the process ends well',
    },
  },
  {
    id: 'M20',
    mistake: 'transfers are written outside the transaction of the key’s row',
    breaks: 'I4: a crash before COMMIT leaves money moved by no payment',
    patches: [
      {
        file: 'src/ledger/books.ts',
        find: '    write(tx, insertTransfers, columns(entered.transfers, ...transferColumns)),\n',
        replace: `    tx.dataSource.transaction(other =>
      write(other, insertTransfers, columns(entered.transfers, ...transferColumns)),
    ),
`,
      },
      {
        // Else the database would refuse a transfer whose payment it cannot see.
        file: 'migrations/0003-payments.ts',
        find: `      ALTER TABLE transfers
        ADD CONSTRAINT transfers_of_a_payment FOREIGN KEY (customer_id, payment_id) REFERENCES payments\``,
        replace: '      SELECT`',
      },
    ],
    caughtBy: {
      file: 'test/crashes/a-crash-is-no-answer.spec.ts',
      title: '%s: nothing is left of it, and the retry pays as if it were the first',
      filledWith: 'with everything written, before COMMIT (F07, K6)',
    },
  },
  {
    id: 'M21',
    mistake: 'callers are answered before COMMIT',
    breaks: 'I2: told that it is done, and the COMMIT never arrives',
    patches: [
      {
        file: transaction,
        find: commit,
        replace: `    connection.query('COMMIT').catch(() => undefined);
    const command = String('COMMIT');
`,
      },
    ],
    caughtBy: beforeTheServer,
  },
  {
    id: 'M22a',
    mistake: 'after a lost COMMIT, an attempt does not know its own finished row',
    breaks: 'I3: the first answer is told as a repeat',
    patches: [
      {
        file: 'src/idempotency/judge-repeat.ts',
        find: '  return row.attemptId === attempt.id\n    ?',
        replace: "  return row.attemptId === 'nobody'\n    ?",
      },
    ],
    caughtBy: afterTheServer,
  },
  {
    id: 'M22b',
    mistake: 'after a lost COMMIT, an attempt does not know its own row that is under way',
    breaks: 'I13: its caller is told that somebody else is at work on it, and nobody is',
    patches: [
      {
        file: 'src/idempotency/judge-repeat.ts',
        find: "  if (row.attemptId === attempt.id) return { kind: 'own' };\n",
        replace: '',
      },
    ],
    caughtBy: {
      file: 'test/promises/a-repeated-transaction-asks-nobody-again.spec.ts',
      title: 'whose COMMIT was lost %s: the caller gets its first answer, and the bank no other request',
      filledWith: 'after the server had done it, in T1',
    },
  },
  {
    id: 'M23',
    mistake: 'one attempt that cannot work fails its whole batch',
    breaks: 'F107: fifty callers are told 500 for the mistake of one',
    patches: [
      {
        file: 'src/idempotency/group-commit.ts',
        find: 'if (only && others.length === 0) return [await this.recalled(only, error)];',
        replace: `if (only && others.length >= 0) {
      return Promise.all(steps.map(step => this.recalled(step, error)));
    }`,
      },
    ],
    caughtBy: {
      file: 'test/promises/one-bad-payment-harms-no-other.spec.ts',
      title: 'that fails %s, among 50 that share a transaction',
      filledWith: 'as it is written',
    },
  },
  {
    id: 'M25a',
    mistake: 'the answer is stored after the handler has run, as an interceptor would',
    breaks: 'I5: after a crash in between, the key never ends',
    patches: [
      answersAreNotRecorded,
      {
        file: engine,
        find: '      if (isRepeat(outcome)) this.duplicates.count(attempt);\n',
        replace: `      if (outcome.kind === 'completed') {
        await this.dataSource.query(
          "UPDATE idempotency_keys SET recovery_point = 'finished', response_status = $3, response_body = $4, finished_at = now(), expires_at = $5, locked_until = NULL WHERE customer_id = $1 AND key = $2",
          [customerId, attempt.key, outcome.answer.status, outcome.answer.body, outcome.expiresAt],
        );
      }
      if (isRepeat(outcome)) this.duplicates.count(attempt);
`,
      },
    ],
    caughtBy: killedAfterCommit,
  },
  {
    id: 'M25b',
    mistake: 'the key is looked up before the handler and stored after it, and no payment remembers its key',
    breaks: 'I1: after a crash in between, the retry pays again',
    patches: [
      answersAreNotRecorded,
      paymentsForgetTheirKey,
      {
        file: 'src/idempotency/claim.ts',
        find: `    INSERT INTO idempotency_keys (customer_id, key, operation, fingerprint, fingerprint_version, params,
                                  recovery_point, attempt_id, window_ms, created_at, expires_at)
    SELECT customer_id, key, operation, fingerprint, $8::smallint, params, 'started', attempt_id, window_ms,
           date_trunc('milliseconds', now()),
           date_trunc('milliseconds', now()) + coalesce(window_ms, $9::float8) * interval '1 millisecond'
`,
        replace: '    SELECT attempt_id\n',
      },
      {
        file: 'src/idempotency/claim.ts',
        find: `     WHERE \${onlyInTransaction}
     ORDER BY customer_id, key
        ON CONFLICT (customer_id, key) DO NOTHING
    RETURNING attempt_id\``,
        replace: `     WHERE $8::smallint > 0 AND $9::float8 > 0
       AND NOT EXISTS (SELECT FROM idempotency_keys AS k
                        WHERE k.customer_id = attempt.customer_id AND k.key = attempt.key)\``,
      },
      {
        file: engine,
        find: '      if (isRepeat(outcome)) this.duplicates.count(attempt);\n',
        replace: `      if (outcome.kind === 'completed') {
        await this.dataSource.query(
          "INSERT INTO idempotency_keys (customer_id, key, operation, fingerprint, fingerprint_version, params, recovery_point, attempt_id, response_status, response_body, created_at, finished_at, expires_at) VALUES ($1, $2, $3, $4, 1, $5, 'finished', $6, $7, $8, now(), now(), $9)",
          [customerId, attempt.key, operation.name, asked, params, attempt.id, outcome.answer.status, outcome.answer.body, outcome.expiresAt],
        );
      }
      if (isRepeat(outcome)) this.duplicates.count(attempt);
`,
      },
    ],
    caughtBy: killedAfterCommit,
  },
];
