import autocannon from 'autocannon';
import { randomInt, randomUUID } from 'node:crypto';
import type { Acknowledged } from './audit.js';
import { accountOf, apiKeyOf, customersCount, samsAccount } from './fill.js';

/** One job for the load generator. It runs in a process of its own, so that its work is not taken for the API's. */
export interface LoadJob {
  url: string;
  connections: number;
  warmUpSeconds: number;
  seconds: number;
  payee: 'another customer' | 'sam';
  /** On rail bank the payee is whoever the other bank knows by that name. */
  rail: 'ledger' | 'bank';
  /** Keys that are sent over and over; 0: every request has a key of its own. */
  keysRepeated: number;
}

/** `warm` and `measured` are said at once, so that the parent reads its meters at the right moments. */
export type LoadReport =
  | { kind: 'warm' | 'measured' }
  | ({
      kind: 'done';
      latenciesMs: Float64Array;
      errors: Record<string, number>;
      cpuSeconds: number;
    } & Acknowledged);

/** How the answer to a payment begins; its id follows. */
const beforeId = '{"id":"';

/** The message that a process is sent once; in it, everything else happens. */
process.once('message', (job: LoadJob) => {
  run(job);
});
// It stays until the parent has read everything and ends it; without a parent, it ends by itself.
process.once('disconnect', () => process.exit());

function run(job: LoadJob): void {
  const told: Acknowledged = { sent: 0, keys: [], paymentIds: [] };
  const errors: Record<string, number> = {};
  const countError = (kind: string) => (errors[kind] = (errors[kind] ?? 0) + 1);
  const latencies: number[] = [];
  let measuring = false;
  let cpu = process.cpuUsage();
  const nextRequest = requests(job);

  const instance = autocannon(
    {
      url: job.url,
      connections: job.connections,
      duration: job.warmUpSeconds + job.seconds + 60,
      sampleInt: 50,
      setupClient: client => {
        let key = '';
        let paymentId = '';
        // The documented hooks copy the request several times and cost as much as everything else here together;
        // this is the function they end in.
        client.getRequestBuffer = () => {
          const request = nextRequest();
          key = request.key;
          paymentId = '';
          told.sent += 1;
          return request.text;
        };
        client.on('body', chunk => {
          const start = chunk.indexOf(beforeId);
          if (start >= 0)
            paymentId = chunk.toString('latin1', start + beforeId.length, start + beforeId.length + 36);
        });
        client.on('response', (status, _bytes, milliseconds) => {
          if (measuring) latencies.push(milliseconds);
          if (status !== 200) countError(`answered ${status}`);
          else if (paymentId === '') countError('answered without a payment');
          else {
            told.keys.push(key);
            told.paymentIds.push(paymentId);
          }
        });
      },
    },
    (error, result) => {
      if (error) countError(error.message);
      if (result.errors > 0) errors['connections lost or timed out'] = result.errors;
      report({
        kind: 'done',
        ...told,
        latenciesMs: Float64Array.from(latencies).sort(),
        errors,
        cpuSeconds: (cpu.user + cpu.system) / 1e6,
      });
    },
  );

  setTimeout(() => {
    measuring = true;
    cpu = process.cpuUsage();
    report({ kind: 'warm' });
    setTimeout(() => {
      measuring = false;
      cpu = process.cpuUsage(cpu);
      report({ kind: 'measured' });
      instance.stop();
    }, job.seconds * 1000);
  }, job.warmUpSeconds * 1000);
}

interface Request {
  key: string;
  text: string;
}

/** Requests are written out as text: an object turned into headers and JSON would cost the machine more. */
function requests({ url, payee, rail, keysRepeated }: LoadJob): () => Request {
  const { host, pathname } = new URL(url);
  // Rail ledger is the default, and what the compared servers know.
  const railMember = rail === 'bank' ? ',"rail":"bank"' : '';
  const write = (): Request => {
    const payer = 1 + randomInt(customersCount);
    const other = 1 + ((payer + randomInt(customersCount - 1)) % customersCount);
    const to = payee === 'sam' ? samsAccount : accountOf(other);
    const key = randomUUID();
    const body = `{"from":"${accountOf(payer)}","to":"${to}","amount":1,"currency":"GBP"${railMember}}`;
    const text =
      `POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${apiKeyOf(payer)}\r\n` +
      `Idempotency-Key: ${key}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    return { key, text };
  };
  if (keysRepeated === 0) return write;
  const pool = Array.from({ length: keysRepeated }, write);
  let next = 0;
  return () => pool[next++ % keysRepeated] ?? write();
}

function report(message: LoadReport): void {
  process.send?.(message);
}
