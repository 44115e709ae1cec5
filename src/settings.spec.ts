import { readSettings, Settings } from './settings.js';

const DATABASE_URL = 'postgres://localhost/pay';
const capitals = (name: string) => name.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase();
const defaults = Object.assign(new Settings(), { databaseUrl: DATABASE_URL });
const numbers = Object.entries(defaults).filter(([, value]) => typeof value === 'number');

describe('the settings', () => {
  it('make sense as they are, but for the database, which has no default', () => {
    expect(readSettings({ DATABASE_URL })).toEqual(defaults);
    expect(() => readSettings({})).toThrow('DATABASE_URL');
  });

  it('agree with what the contract promises', () => {
    expect(readSettings({ DATABASE_URL })).toMatchObject({
      port: 3000,
      host: '127.0.0.1',
      bodyBytesMax: 64 * 1024,
      headerBytesMax: 16 * 1024,
      headerFieldsMax: 100,
      requestTimeoutMs: 10_000,
      jsonDepthMax: 32,
    });
  });

  it.each(numbers)('%s is read from the environment', (name, value) => {
    const other =
      Number(value) -
      (value === defaults.databaseConnectionsMax ? 1 : 0) +
      (name === 'queryTimeoutMs' ? 1 : 0);
    for (const given of [other, Number(value)]) {
      const settings = readSettings({ DATABASE_URL, [capitals(name)]: String(given) });
      expect(settings[name as keyof Settings]).toBe(given);
    }
  });

  it('reads numbers, strings and choices, and leaves what is not given as it is', () => {
    const settings = readSettings({
      DATABASE_URL,
      PORT: '0',
      HOST: '0.0.0.0',
      LOG_LEVEL: 'silent',
      BATCH_SIZE_MAX: '7',
    });
    expect(settings).toEqual(
      Object.assign(new Settings(), {
        databaseUrl: DATABASE_URL,
        port: 0,
        host: '0.0.0.0',
        logLevel: 'silent',
        batchSizeMax: 7,
      }),
    );
  });

  it('takes an empty variable for one that is not set, and ignores those it does not know', () => {
    expect(readSettings({ DATABASE_URL, PORT: '', LOG_LEVEL: '', NODE_ENV: 'test', port: '1' })).toEqual(
      defaults,
    );
  });

  it.each(numbers)('%s stops start-up, and is named, when it is no whole number of its kind', name => {
    for (const value of ['x', '-1', '1.5', '3O00', 'NaN', 'Infinity', 'true', '[1]']) {
      expect(() => readSettings({ DATABASE_URL, [capitals(name)]: value })).toThrow(
        new RegExp(`^Settings: (.*; )?${capitals(name)} `),
      );
    }
  });

  it.each([
    ['PORT', '65536'],
    ['DATABASE_CONNECTIONS_MAX', '1'],
    ['DATABASE_CONNECTIONS_MAX', '101'],
    ['BATCH_SIZE_MAX', '0'],
    ['BATCHES_AT_ONCE_MAX', '0'],
    ['BATCH_REPEATS_MAX', '21'],
    ['LOG_LEVEL', 'loud'],
    ['DATABASE_URL', 'mysql://localhost/pay'],
    ['DATABASE_URL', 'localhost'],
  ])('%s=%s is out of bounds, and named', (name, value) => {
    expect(() => readSettings({ DATABASE_URL, [name]: value })).toThrow(name);
  });

  it('names everything that is wrong, in one sentence', () => {
    const read = () => readSettings({ DATABASE_URL: 'x', PORT: 'x', LEASE: 'x', LOG_LEVEL: 'x' });
    expect(read).toThrow(/^Settings: .*\.$/);
    for (const name of ['DATABASE_URL', 'PORT', 'LOG_LEVEL']) expect(read).toThrow(name);
  });

  it('does not repeat a password', () => {
    const read = () => readSettings({ DATABASE_URL: 'mysql://sam:hunter2@localhost/pay' });
    expect(read).toThrow('DATABASE_URL');
    expect(read).not.toThrow('hunter2');
  });

  it('refuses a lease that the bank’s time-out outlasts, and names both', () => {
    const read = (lease: number, bank: number) => () =>
      readSettings({ DATABASE_URL, LEASE_MS: String(lease), BANK_TIMEOUT_MS: String(bank) });
    expect(read(5_001, 5_000)).not.toThrow();
    for (const lease of [5_000, 4_999]) {
      expect(read(lease, 5_000)).toThrow(new RegExp(`LEASE_MS .${lease}.*BANK_TIMEOUT_MS .5000`));
    }
  });

  it('refuses a bank without a key to it, and an address that is none', () => {
    const read = (environment: object) => () => readSettings({ DATABASE_URL, ...environment });
    expect(read({ BANK_URL: 'http://localhost:3001' })).toThrow('BANK_API_KEY');
    expect(read({ BANK_URL: 'http://localhost:3001', BANK_API_KEY: 'bk_1' })).not.toThrow();
    for (const url of ['localhost:3001', 'ftp://bank', 'bank']) {
      expect(read({ BANK_URL: url, BANK_API_KEY: 'bk_1' })).toThrow('BANK_URL');
    }
    expect(read({ BANK_URL: 'nowhere', BANK_API_KEY: 'bk_secret' })).not.toThrow('bk_secret');
  });

  it('refuses a query time-out within which the database may still be at work', () => {
    const read = (query: number, statement: number) => () =>
      readSettings({
        DATABASE_URL,
        QUERY_TIMEOUT_MS: String(query),
        STATEMENT_TIMEOUT_MS: String(statement),
      });
    expect(read(5_001, 5_000)).not.toThrow();
    for (const query of [5_000, 4_999]) {
      expect(read(query, 5_000)).toThrow(
        new RegExp(`QUERY_TIMEOUT_MS.*${query}.*STATEMENT_TIMEOUT_MS.*5000`),
      );
    }
  });
});
