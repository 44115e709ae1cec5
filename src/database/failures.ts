/** SQLSTATE of a server that may not write any more. */
export const readOnlyServer = '25006';

/**
 * What PostgreSQL says when a transaction failed through no fault of its own, so that the same one may succeed
 * a moment later. Each is provoked by a test.
 */
const worthAnotherTry = new Map([
  ['40001', 'serialization_failure: another transaction came first'],
  ['40P01', 'deadlock_detected: two transactions waited for each other, this one gave way'],
  ['55P03', 'lock_not_available: the lock time-out ran out'],
  ['57014', 'query_canceled: the statement time-out ran out'],
  ['25P03', 'idle_in_transaction_session_timeout: this process was silent for too long'],
  ['25P04', 'transaction_timeout: the transaction took too long'],
  [readOnlyServer, 'read_only_sql_transaction: a fail-over is under way, this server may not write any more'],
  ['53100', 'disk_full'],
  ['53200', 'out_of_memory'],
  ['53300', 'too_many_connections'],
  ['57P01', 'admin_shutdown'],
  ['57P02', 'crash_shutdown'],
  ['57P03', 'cannot_connect_now: starting up'],
]);

/** Class 08: connection exceptions. */
const connectionException = /^08/;

/** Five digits and capitals, a digit among them: that is a server's complaint. EPIPE is a socket's. */
const sqlState = /^(?=.*\d)[0-9A-Z]{5}$/;

/**
 * Whether a failed transaction is worth another try as it is.
 *
 * The driver reports a lost connection in several shapes, most of them without a code. So this goes by effect:
 * a complaint that the server itself made counts as final unless it is listed, and everything else that came
 * from the way to the server counts as a lost connection. Errors of our own making must not be passed in.
 */
export function isWorthAnotherTry(error: unknown): boolean {
  const code = sqlStateOf(error);
  return code === null || worthAnotherTry.has(code) || connectionException.test(code);
}

/** @returns the SQLSTATE, or `null` where the complaint is not the server's */
export function sqlStateOf(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && sqlState.test(code) ? code : null;
}

export function violatedConstraint(error: unknown): string | null {
  const constraint = (error as { constraint?: unknown } | null)?.constraint;
  return typeof constraint === 'string' ? constraint : null;
}

/** No connection of the pool came free in time. The driver says so in words only, perhaps as the cause. */
export function isPoolExhausted(error: unknown): boolean {
  if (!Error.isError(error)) return false;
  return error.message.startsWith('timeout exceeded when trying to connect') || isPoolExhausted(error.cause);
}

/** The database cannot do it now. Nothing is known to have happened; the key is as it was, or finished. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}
