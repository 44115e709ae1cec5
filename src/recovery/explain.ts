import { BankContradicted, BankUnavailable } from '../bank/bank.client.js';
import { sqlStateOf } from '../database/failures.js';

/** What may be wrong with the database, and what to do about it. */
const remedies: Record<string, string> = {
  ECONNREFUSED: 'No PostgreSQL answers there: start it, or correct DATABASE_URL.',
  ENOTFOUND: 'There is no such host: correct DATABASE_URL.',
  ERR_INVALID_URL: 'Correct DATABASE_URL or BANK_URL.',
  '28P01': 'Correct the password in DATABASE_URL.',
  '28000': 'Correct the user in DATABASE_URL.',
  '3D000': 'Create the database, or correct DATABASE_URL.',
  // No such table, no such column.
  '42P01': 'The database schema is older than this code: run "npm run migrate".',
  '42703': 'The database schema is older than this code: run "npm run migrate".',
};

/** Why a run could not be made, and what to do, in one line. */
export function explain(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (error instanceof BankUnavailable) {
    return sentences(`${unread}: ${message}`, 'Start the bank, or correct BANK_URL and BANK_API_KEY.');
  }
  if (error instanceof BankContradicted)
    return sentences(`${unread}: ${message}`, 'The bank has to say why.');
  const isLost = sqlStateOf(error) === null && /connect|timeout|terminated/i.test(message);
  const remedy = remedies[code] ?? (isLost ? 'See that PostgreSQL runs and can be reached.' : undefined);
  return sentences(message, remedy);
}

const unread = 'The bank’s statement could not be read';

/** A failure to connect to several addresses has no words of its own. */
function sentences(...parts: (string | undefined)[]): string {
  const said = parts.filter(Boolean).map(part =>
    String(part)
      .replace(/\s+/g, ' ')
      .replace(/[.!]?$/, '.'),
  );
  return said.join(' ');
}
