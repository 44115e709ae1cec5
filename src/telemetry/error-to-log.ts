import { sqlStateOf } from '../database/failures.js';

/** What the log says about an error. */
export interface ErrorToLog {
  readonly type: string;
  readonly message?: string;
  readonly code?: string;
  readonly constraint?: string;
  readonly stack?: readonly string[];
  readonly cause?: ErrorToLog;
}

/** Causes within causes. More would be a circle. */
const depthMax = 5;

/** Long enough for a sentence, too short for a document. */
export const messageLengthMax = 300;

/**
 * Leaves out whatever could be a caller's: PostgreSQL quotes values in its messages and details ("Key (customer_id,
 * key)=(…) already exists"), and TypeORM keeps a statement's parameters. Its SQLSTATE and constraint say enough.
 */
export function errorToLog(error: unknown, depth = 1): ErrorToLog {
  if (!Error.isError(error)) return { type: typeof error };
  const { driverError } = error as { driverError?: unknown };
  if (Error.isError(driverError)) return errorToLog(driverError, depth);

  const { code, constraint } = error as { code?: unknown; constraint?: unknown };
  return {
    type: error.name,
    ...(sqlStateOf(error) === null && { message: error.message.slice(0, messageLengthMax) }),
    ...(typeof code === 'string' && { code }),
    ...(typeof constraint === 'string' && { constraint }),
    ...(error.stack !== undefined && { stack: framesOf(error.stack) }),
    ...(error.cause !== undefined && depth < depthMax && { cause: errorToLog(error.cause, depth + 1) }),
  };
}

/** Without its first lines, which repeat the message. */
function framesOf(stack: string): string[] {
  return stack
    .split('\n')
    .map(line => line.trim())
    .filter(line => line.startsWith('at '));
}
