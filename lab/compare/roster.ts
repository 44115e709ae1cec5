import { AnswerAfterHandler } from '../wrong-turns/answer-after-handler.js';
import { BankInTransaction } from '../wrong-turns/bank-in-transaction.js';
import { CheckThenInsert } from '../wrong-turns/check-then-insert.js';
import { KeyInCache } from '../wrong-turns/key-in-cache.js';
import { LeaseWithoutEpoch } from '../wrong-turns/lease-without-epoch.js';
import { Naive } from '../wrong-turns/naive.js';
import { newKeyPerAttempt } from '../wrong-turns/new-key-per-attempt.js';
import { Dbos } from '../wrong-turns/published/dbos.js';
import { serveExpressIdempotency } from '../wrong-turns/published/express-idempotency.js';
import { NodeIdempotency } from '../wrong-turns/published/node-idempotency.js';
import { TimeoutIsFailure } from '../wrong-turns/timeout-is-failure.js';
import { faithful, type Client } from './caller.js';
import type { Design, Tools } from './design.js';
import type { FaultName } from './fault-name.js';
import type { Harm } from './judge.js';

/** One of those that are compared. */
export interface Entry {
  name: string;
  /** For the page: what it does, and what came of it where that needs a word. */
  says: string;
  /** The fault that it is here to show, and the harm that comes of it; our own shows none. */
  shows: { fault: FaultName; harm: Harm } | null;
  /** Served by the real API, as it is shipped; nothing is built. */
  isReal: boolean;
  /** Built in the server's process. */
  build: (tools: Tools) => Design | Promise<Design>;
  /** Where a design brings its whole server. @returns where it listens */
  serve?: (tools: Tools) => Promise<string>;
  client: Client;
  /** Where the answers are recorded; locked, to hold a process just before it writes there. */
  records: string[];
  /** Packages that have to be installed, the one that is compared first. */
  packages: string[];
  needsRedis: boolean;
}

const labKeys = ['lab_keys'];

function wrongTurn(
  name: string,
  shows: { fault: FaultName; harm: Harm },
  build: new (tools: Tools) => Design,
  { says, records = labKeys }: { says: string; records?: string[] },
): Entry {
  return {
    name,
    says,
    shows,
    isReal: false,
    build: tools => new build(tools),
    client: faithful,
    records,
    packages: [],
    needsRedis: false,
  };
}

function published(entry: Pick<Entry, 'name' | 'says' | 'packages'> & Partial<Entry>): Entry {
  const build = () => {
    throw new Error(`${entry.name} brings its own server`);
  };
  return { shows: null, isReal: false, build, client: faithful, records: [], needsRedis: false, ...entry };
}

/** Our own API under this name, with the client that keeps its key. */
export const ours: Entry = {
  name: 'ours',
  says: 'The real API, as it is shipped: src/main.ts.',
  shows: null,
  isReal: true,
  build: () => {
    throw new Error('the real API is not served here');
  },
  client: faithful,
  records: ['idempotency_keys'],
  packages: [],
  needsRedis: false,
};

export const roster: Entry[] = [
  ours,
  wrongTurn('naive', { fault: 'answer-lost', harm: 'doubled' }, Naive, {
    says: 'One transaction a request, no key. Whatever is sent twice is paid twice.',
    records: [],
  }),
  wrongTurn('check-then-insert', { fault: 'two-at-once', harm: 'doubled' }, CheckThenInsert, {
    says: 'Looks for the key, pays, inserts the key. Whoever looks before the other commits pays as well.',
  }),
  wrongTurn('answer-after-handler', { fault: 'killed-before-record', harm: 'stuck' }, AnswerAfterHandler, {
    says: 'An interceptor claims the key, and stores the answer after the handler. A crash in between leaves a payment whose key is in progress for ever.',
  }),
  wrongTurn('key-in-cache', { fault: 'key-expired', harm: 'doubled' }, KeyInCache, {
    says: 'The key in memory, with a time to live. A retry after that time, after a restart or at another instance is a new payment.',
    records: [],
  }),
  wrongTurn('bank-in-transaction', { fault: 'killed-after-charge', harm: 'doubled' }, BankInTransaction, {
    says: 'The bank is called before COMMIT. A rollback forgets the reference, and does not take back the charge. On rail ledger it is right.',
  }),
  wrongTurn('timeout-is-failure', { fault: 'bank-times-out', harm: 'wrong' }, TimeoutIsFailure, {
    says: 'A time-out of the bank ends as declined, although it may have charged, and has. The rest is right.',
  }),
  wrongTurn('lease-without-epoch', { fault: 'zombie', harm: 'doubled' }, LeaseWithoutEpoch, {
    says: 'A holder that wakes up after its lease enters the payment once more. The bank recognises its reference; our books do not. The rest is right.',
  }),
  {
    ...ours,
    name: 'new-key-per-attempt',
    says: 'The real API, and a client that makes a new key for each attempt: to the API each is another payment. Its speed is that of ours.',
    shows: { fault: 'answer-lost', harm: 'doubled' },
    client: newKeyPerAttempt,
  },
  published({
    name: '@node-idempotency/core (memory)',
    says: 'With the store in memory. Its time to live is the setting that ours calls ANSWER_RETENTION_MS.',
    packages: ['@node-idempotency/core', '@node-idempotency/storage-adapter-memory'],
    build: tools => NodeIdempotency.inMemory(tools),
  }),
  published({
    name: '@node-idempotency/core (Redis)',
    says: 'With the store in Redis, which is never killed here. A key whose process died is in progress until its time to live is over, and a failed handler is stored as failed, as by its plug-in for Nest.',
    packages: ['@node-idempotency/core', '@node-idempotency/storage-adapter-redis'],
    build: tools => NodeIdempotency.inRedis(tools),
    needsRedis: true,
  }),
  published({
    name: 'express-idempotency',
    says: 'With the store that it brings, in memory; its page calls that one not recommended for production.',
    packages: ['express-idempotency', 'express'],
    serve: serveExpressIdempotency,
  }),
  published({
    name: '@dbos-inc/dbos-sdk',
    says: 'The key is the id of a workflow, as its page shows it. A workflow is asked for by its id only: whoever wants another amount under the same key to be refused compares the two, as this does not.',
    packages: ['@dbos-inc/dbos-sdk'],
    build: tools => Dbos.over(tools),
    records: ['dbos.operation_outputs', 'dbos.workflow_status'],
  }),
];

export function rosterEntry(name: string): Entry {
  const entry = roster.find(each => each.name === name);
  if (entry) return entry;
  throw new Error(`There is no design "${name}".`);
}
