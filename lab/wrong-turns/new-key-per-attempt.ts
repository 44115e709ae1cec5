import { randomUUID } from 'node:crypto';
import type { Client } from '../compare/caller.js';

/**
 * Wrong turn, on the other side of the wire: a client that makes a new key for each attempt.
 *
 * It looks like what "unique per request" asks for, and it is where many clients make the key: in the function that
 * sends, below the loop that retries. The server it talks to here is the real one, and does all it can.
 *
 * What breaks it: an answer that is lost. The client sends again, and to the server this is another payment.
 *
 * The right turn: one key per intended payment, made before the first attempt, kept with the intention, the same on
 * every retry; docs/contract.md, and `faithful` in lab/compare/caller.ts.
 */
export const newKeyPerAttempt: Client = {
  keyOf: () => randomUUID(),
};
