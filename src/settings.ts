import 'reflect-metadata';
import { plainToInstance } from 'class-transformer';
import { IsIn, IsInt, IsString, Matches, Max, Min, validateSync } from 'class-validator';

/** Limits that the database checks as well, or that callers build on: fixed, and published in the docs. */
export const limits = {
  /** Characters in an idempotency key. Room for a UUID with a prefix; short enough to index. */
  keyLengthMax: 255,
  /** Characters in a payment's reference. What a bank statement line has room for. */
  referenceLengthMax: 140,
  /** Characters in an account's id. */
  accountIdLengthMax: 64,
  /** Largest amount of one payment, in minor units: £1,000,000.00. Above it, somebody mistyped. */
  amountMax: 100_000_000,
  /** Seconds a caller may ask to be kept waiting. Proxies on the way give up after a minute, often after half of one. */
  waitSecondsMax: 30,
  /** Entries in one page of a list. More costs one caller's patience and everybody's memory. */
  pageSizeMax: 100,
} as const;

/**
 * Every number this service runs by, with its reason. Each can be set from the environment under its name in
 * capitals: `leaseMs` is `LEASE_MS`. A value that makes no sense stops start-up with a sentence that names it.
 */
export class Settings {
  /** Where the API listens. 0 picks a free port. */
  @IsInt() @Min(0) @Max(65_535) port: number = 3000;

  /** Loopback unless told otherwise: a demo with known API keys must not be reachable from elsewhere. */
  @IsString() host: string = '127.0.0.1';

  /** There is no default, so that no built-in password can ever reach a real database. */
  @Matches(/^postgres(ql)?:\/\//, { message: 'must begin with postgres:// or postgresql://' })
  databaseUrl: string = '';

  /**
   * Database connections of one process. Payments share transactions and need two; the rest serves reads.
   * More would only move the queue from this process into PostgreSQL.
   */
  @IsInt() @Min(2) @Max(100) databaseConnectionsMax: number = 10;

  /** How long a request waits for a connection before it is told 503: longer, and its caller has retried. */
  @IsInt() @Min(100) connectTimeoutMs: number = 5_000;

  /**
   * How long a batch waits for a lock, by the database's clock. A batch holds its locks for a few milliseconds;
   * two seconds of waiting means that something else holds them, and the batch is better repeated than stuck.
   */
  @IsInt() @Min(10) lockTimeoutMs: number = 2_000;

  /** How long one statement may run. Longer than a lock may take, so that the more telling error comes first. */
  @IsInt() @Min(10) statementTimeoutMs: number = 5_000;

  /**
   * How long this process waits for any answer of the database before it drops the connection. A network that
   * swallows packets sends no error; the statement's own time-out, plus 5 s for the way there and back.
   */
  @IsInt() @Min(10) queryTimeoutMs: number = 10_000;

  /**
   * Attempts that share one transaction at most. A batch of fifty costs little more than one of one; far above
   * a hundred, what the last caller waits and what a failed batch repeats outgrow what is saved.
   */
  @IsInt() @Min(1) @Max(1_000) batchSizeMax: number = 128;

  /**
   * Transactions on the road at once. One keeps batches large and never waits for its own row locks; with two,
   * one batch reads requests while the other commits, but two of them meet on a busy account.
   */
  @IsInt() @Min(1) @Max(10) batchesAtOnceMax: number = 1;

  /** Attempts that may wait for a transaction. Beyond, 503 `overloaded` at once: a queue is no capacity. */
  @IsInt() @Min(1) waitingMax: number = 2_000;

  /**
   * How often a batch is repeated after a deadlock, a lock time-out or a lost connection, before its callers
   * are told 503. Waits double from 20 ms, jittered: six repeats bridge about a second, a server's restart.
   */
  @IsInt() @Min(0) @Max(20) batchRepeatsMax: number = 6;

  /** How long a stored answer is kept. Three days: a bug deployed on Friday is found on Monday. */
  @IsInt() @Min(1_000) answerRetentionMs: number = 72 * 60 * 60 * 1_000;

  /**
   * How long a fingerprint stands for a key, for customers who cannot send any: seconds. Long enough for the retries
   * of software that gives up after half a minute. The price: two equal payments meant within it are one.
   */
  @IsInt() @Min(1) @Max(86_400) fingerprintWindow: number = 60;

  /** What a collision is told: 409, since that is what most callers know, or 422, as the IETF draft has it. */
  @IsIn([409, 422]) collisionStatus: number = 409;

  /** Bytes of finished answers kept in memory. About 30,000 of them: repeats come soon, or hardly ever. */
  @IsInt() @Min(0) answersCachedBytes: number = 32 * 1024 * 1024;

  /**
   * How long repeats are added up in memory before `duplicates` is written. A key hammered a thousand times a
   * second then costs two updates a second; a crash loses half a second of counting, never an answer.
   */
  @IsInt() @Min(1) duplicatesFlushMs: number = 500;

  /** Where the other bank is. Empty: there is none, and `rail: "bank"` is refused. */
  @Matches(/^(https?:\/\/\S+)?$/, { message: 'must begin with http:// or https://' })
  bankUrl: string = '';

  /** What the other bank knows us by. A secret: it comes from the environment only, and is never logged. */
  @IsString() bankApiKey: string = '';

  /** How long a connection to the bank may take: a second is ten times the way around the world. */
  @IsInt() @Min(1) bankConnectTimeoutMs: number = 1_000;

  /**
   * How long one request to the bank may take, the last byte of its answer included. Banks answer within half a
   * second; one that has not within three will not, and is better asked what became of it.
   */
  @IsInt() @Min(1) bankRequestTimeoutMs: number = 3_000;

  /**
   * How long one call may take, with all of its requests and the waits between them: three requests that time out,
   * and a second of waiting. Longer, and the lease has to grow with it.
   */
  @IsInt() @Min(1) bankTimeoutMs: number = 10_000;

  /**
   * Requests of one call at most; the completer does the rest. With one, whoever has to ask first never comes to send:
   * that is for tests only.
   */
  @IsInt() @Min(1) @Max(20) bankRequestsMax: number = 8;

  /** The first wait before another request; it doubles, and is drawn between nothing and itself (full jitter). */
  @IsInt() @Min(1) bankBackoffMs: number = 100;

  /** The longest wait between two requests, whatever the bank's Retry-After asks for. */
  @IsInt() @Min(1) bankBackoffMaxMs: number = 2_000;

  /**
   * Tokens for repeated requests, shared by all calls: a repeat costs 5, after a time-out 10, and each success
   * gives one back (the constants of AWS's clients). An outage then costs the bank a hundred repeats, not a flood.
   */
  @IsInt() @Min(0) bankRetryTokens: number = 500;

  /** Requests to the bank at once. With answers after 50 ms this is 2,000 a second; more would drown a small bank. */
  @IsInt() @Min(1) @Max(10_000) bankRequestsAtOnceMax: number = 100;

  /** Requests that may wait for their turn. Beyond, a call ends as not sent, and the completer tries later. */
  @IsInt() @Min(0) bankWaitingMax: number = 2_000;

  /** While most requests of the last seconds failed, none is made for this long; then one tries. */
  @IsInt() @Min(1) bankBreakMs: number = 1_000;

  /** Largest answer of the bank that is read. A transfer needs 300 bytes, a page of its statement 200 KiB. */
  @IsInt() @Min(1_024) bankAnswerBytesMax: number = 1024 * 1024;

  /**
   * How long the bank promises to remember a reference. A payment older than this is only asked for, never sent
   * again: the bank would take it for a new one. It is the bank's figure, less an hour for doubt.
   */
  @IsInt() @Min(0) bankMemoryMs: number = 23 * 60 * 60 * 1_000;

  /**
   * How long a holder may be silent before another takes over: milliseconds by the database's clock. The bank's
   * time-out (10 s), twice, plus 10 s for a slow commit. Shorter, and a healthy payment is taken over; longer, and
   * a caller waits for nothing. Start-up refuses a lease that the bank's time-out outlasts.
   */
  @IsInt() @Min(1) leaseMs: number = 30_000;

  /** How long the first caller of a bank payment is kept waiting for its end before it is told 202. */
  @IsInt() @Min(0) @Max(30_000) callerWaitMs: number = 10_000;

  /**
   * Bank payments on their way in this process. Beyond, 503 at once. With 1,100 of them, callers and connections
   * included, the whole process was measured at 305 MiB (docs/bench.md).
   */
  @IsInt() @Min(1) inFlightMax: number = 2_000;

  /** Where completer, reaper and reconciler run: inside this API, or elsewhere, in `src/worker.ts` alone. */
  @IsIn(['inside', 'elsewhere']) workers: string = 'inside';

  /** How long the completer rests when it found nothing to do: the delay of a recovery, on top of the lease. */
  @IsInt() @Min(1) sweepMs: number = 1_000;

  /** Operations the completer drives at once. Twice what may be asked of the bank at once keeps that busy. */
  @IsInt() @Min(1) recoveriesAtOnceMax: number = 200;

  /**
   * How often an operation is taken up again before it is parked for a person to look at. With waits that double
   * to a minute this is about half an hour of asking. Attempts that could not reach the bank do not count.
   */
  @IsInt() @Min(1) recoveryAttemptsMax: number = 40;

  /** The first wait before an operation is taken up again; it doubles, jittered. */
  @IsInt() @Min(1) recoveryBackoffMs: number = 500;

  /** The longest of those waits, while the bank answers with something that settles nothing. */
  @IsInt() @Min(1) recoveryBackoffMaxMs: number = 60_000;

  /** The longest of those waits while the bank cannot be reached: how late a backlog starts to drain. */
  @IsInt() @Min(1) outageBackoffMaxMs: number = 3_000;

  /** Rows the reaper deletes in one transaction: a few milliseconds of locks. */
  @IsInt() @Min(1) @Max(100_000) reaperBatchMax: number = 1_000;

  /** How long the reaper rests. Answers live for days: a minute more is nothing. */
  @IsInt() @Min(1) reapEveryMs: number = 60_000;

  /** How long the reconciler rests. A payment the bank does not know is better found in minutes than in days. */
  @IsInt() @Min(1) reconcileEveryMs: number = 60_000;

  /**
   * Requests a second that one customer may send to one process: far above what an honest one sends, and a tenth of
   * what a process can answer, so that nobody takes it away from the others.
   */
  @IsInt() @Min(1) requestsPerSecondMax: number = 1_000;

  /** Requests of one customer that may be waiting for an answer at once. Those for the bank wait for seconds. */
  @IsInt() @Min(1) inFlightPerCustomerMax: number = 500;

  /** Bank payments of one customer that may be on their way. Each is a row that only its end frees. */
  @IsInt() @Min(1) unfinishedPerCustomerMax: number = 10_000;

  /** Keys that one customer may close without ever having used them. They are kept for ever, a hundred bytes each. */
  @IsInt() @Min(1) closedKeysPerCustomerMax: number = 10_000;

  /** How late the event loop may run before newcomers are turned away: a second late, and answers miss their callers. */
  @IsInt() @Min(10) eventLoopDelayMaxMs: number = 1_000;

  /** Largest request body. A payment needs 200 bytes. */
  @IsInt() @Min(1_024) bodyBytesMax: number = 64 * 1024;

  /** Largest header block, and most fields in it. Above, Node itself might cut the list short, key and all. */
  @IsInt() @Min(1_024) headerBytesMax: number = 16 * 1024;
  @IsInt() @Min(10) headerFieldsMax: number = 100;

  /** How deep JSON may nest. A payment needs 1; deeper is an attack on a parser. */
  @IsInt() @Min(1) jsonDepthMax: number = 32;

  /** How long a caller may take to send a request. Longer, and 500 slow callers hold 500 sockets. */
  @IsInt() @Min(100) requestTimeoutMs: number = 10_000;

  /** How long a stopping process finishes what is in flight. Below the 30 s that orchestrators give. */
  @IsInt() @Min(0) shutdownGraceMs: number = 10_000;

  @IsIn(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']) logLevel: string = 'info';
}

/** @throws Error whose message names each setting that is wrong, as it is spelled in the environment */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const given = Object.keys(new Settings())
    .map(name => [name, environment[inCapitals(name)]] as const)
    .filter(([, value]) => value !== undefined && value !== '');
  const settings = plainToInstance(Settings, Object.fromEntries(given), {
    enableImplicitConversion: true,
    exposeDefaultValues: true,
  });

  const complaints = validateSync(settings).map(({ property, constraints = {} }) => {
    const reasons = Object.values(constraints).map(reason => reason.replace(property, '').trim());
    return `${inCapitals(property)} ${reasons.join(' and ')}`;
  });
  if (settings.queryTimeoutMs <= settings.statementTimeoutMs) {
    complaints.push(
      `QUERY_TIMEOUT_MS (${settings.queryTimeoutMs}) must be above STATEMENT_TIMEOUT_MS ` +
        `(${settings.statementTimeoutMs}), or connections are dropped while the database still works`,
    );
  }
  if (settings.leaseMs <= settings.bankTimeoutMs) {
    complaints.push(
      `LEASE_MS (${settings.leaseMs}) must be above BANK_TIMEOUT_MS (${settings.bankTimeoutMs}), ` +
        'or a payment is taken over while its first holder still waits for the bank',
    );
  }
  if (settings.bankUrl !== '' && settings.bankApiKey === '') {
    complaints.push('BANK_API_KEY must be set where BANK_URL is');
  }
  if (complaints.length > 0) throw new Error(`Settings: ${complaints.join('; ')}.`);
  return settings;
}

function inCapitals(name: string): string {
  return name.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase();
}
