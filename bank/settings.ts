/** Everything this bank runs by. Times are milliseconds. */
export interface BankSettings {
  /** Where it listens. 0 picks a free port. */
  port: number;
  /** Loopback unless told otherwise: its key is published. */
  host: string;
  /** What callers authenticate with. */
  apiKey: string;
  /** The file of its books. ':memory:' keeps none. */
  books: string;
  /** How long after acceptance a transfer settles. 0: it is settled in the first answer. */
  settleMs: number;
  /** How much later each answer is sent. The books are written by then. */
  delayMs: number;
  /**
   * How long a reference is remembered. After that a PUT with it is a new transfer and charges again: real banks
   * do this too, and whoever sends money to them had better know.
   */
  remembersMs: number;
  /** How long an answer that never comes is held before the connection is dropped: longer than callers wait. */
  hangMs: number;
  /** Whether tests may choose what goes wrong, under /control. */
  control: boolean;
}

export const defaultSettings: Readonly<BankSettings> = {
  port: 3001,
  host: '127.0.0.1',
  apiKey: 'bk_demo_paysam',
  books: '.data/bank.db',
  settleMs: 50,
  delayMs: 0,
  remembersMs: 24 * 60 * 60 * 1_000,
  hangMs: 30_000,
  control: false,
};

/** The longest a timer can wait: 24.8 days. Anything above would fire at once. */
export const timeMaxMs = 2 ** 31 - 1;

/** @throws Error with one sentence that names the variable and its value */
export function readSettings(env: NodeJS.ProcessEnv): BankSettings {
  const text = (name: string, fallback: string) => env[name] || fallback;
  const whole = (name: string, fallback: number, max: number) => {
    const value = text(name, String(fallback));
    if (/^\d{1,10}$/.test(value) && Number(value) <= max) return Number(value);
    throw new Error(`${name} is "${value}": it must be a whole number from 0 to ${max}.`);
  };
  const apiKey = text('BANK_API_KEY', defaultSettings.apiKey);
  // Anything else does not fit into a header, and every caller would be refused. Keys are not repeated on screens.
  if (!/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new Error('BANK_API_KEY must be printable ASCII without spaces.');
  }
  return {
    port: whole('BANK_PORT', defaultSettings.port, 65_535),
    host: text('BANK_HOST', defaultSettings.host),
    apiKey,
    books: text('BANK_BOOKS', defaultSettings.books),
    settleMs: whole('BANK_SETTLE_MS', defaultSettings.settleMs, timeMaxMs),
    delayMs: whole('BANK_DELAY_MS', defaultSettings.delayMs, timeMaxMs),
    remembersMs: whole('BANK_REMEMBERS_MS', defaultSettings.remembersMs, timeMaxMs),
    hangMs: whole('BANK_HANG_MS', defaultSettings.hangMs, timeMaxMs),
    control: whole('BANK_CONTROL', 0, 1) === 1,
  };
}
