export interface Curl {
  says: string;
  command: string;
  /** Payments on rail bank need the pretend bank: at another one, nobody knows Dee and Tim. */
  rail: 'ledger' | 'bank';
  status: number;
  /** Headers that the answer carries, among others. */
  headers: Record<string, string>;
}

/**
 * The calls that show what the project promises, in order. The quick start prints them and the test suite runs
 * exactly these.
 *
 * The body is piped in because that reads the same in bash and in every PowerShell: the older ones strip the
 * double quotes from an argument. `run` makes the keys new, so that the first call pays on every start.
 */
export function curls(baseUrl: string, run: string): Curl[] {
  const curl = process.platform === 'win32' ? 'curl.exe' : 'curl';
  const send = (body: object, customer: string, key: string): string =>
    [
      `echo '${JSON.stringify(body)}' | ${curl} -i ${baseUrl}/payments`,
      `-H "Authorization: Bearer sk_demo_${customer}"`,
      `-H "Idempotency-Key: ${key}"`,
      '-H "Content-Type: application/json"',
      '-d "@-"',
    ].join(' ');
  const pay = (customer: string, amount: number): string =>
    send({ to: 'sam', amount, currency: 'GBP' }, customer, `${customer}-${run}`);
  const payByBank = (to: string): string =>
    send({ to, amount: 2_500, currency: 'GBP', rail: 'bank' }, 'alice', `${to}-${run}`);

  return [
    {
      says: 'Alice pays Sam £100.',
      command: pay('alice', 10_000),
      rail: 'ledger',
      status: 200,
      headers: { 'Idempotency-Status': 'completed' },
    },
    {
      says: 'The same again: the same answer, and Sam is not paid twice.',
      command: pay('alice', 10_000),
      rail: 'ledger',
      status: 200,
      headers: { 'Idempotent-Replayed': 'true', 'Idempotency-Status': 'already_completed' },
    },
    {
      says: 'The same key for £200: refused, because the key belongs to the first payment.',
      command: pay('alice', 20_000),
      rail: 'ledger',
      status: 409,
      headers: { 'Idempotency-Status': 'collision_detected', 'Should-Retry': 'false' },
    },
    {
      says: 'Bob has £50, so his £100 is declined.',
      command: pay('bob', 10_000),
      rail: 'ledger',
      status: 402,
      headers: { 'Idempotency-Status': 'completed' },
    },
    {
      says: 'A decline is an answer too: the same again.',
      command: pay('bob', 10_000),
      rail: 'ledger',
      status: 402,
      headers: { 'Idempotent-Replayed': 'true', 'Idempotency-Status': 'already_completed' },
    },
    {
      says: 'Alice pays Sam £25 through another bank.',
      command: payByBank('sam'),
      rail: 'bank',
      status: 200,
      headers: { 'Idempotency-Status': 'completed' },
    },
    {
      says: 'Tim’s bank takes the money, and never answers. It is asked, and charges once.',
      command: payByBank('tim'),
      rail: 'bank',
      status: 200,
      headers: { 'Idempotency-Status': 'completed' },
    },
  ];
}
