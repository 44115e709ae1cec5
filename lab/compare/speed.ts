import { end } from '../../bench/child.js';
import type { DatabaseServer } from '../../bench/database.js';
import { LoadGenerator } from '../../bench/load-generator.js';
import { startCompared } from './processes.js';
import type { Redis } from './redis.js';
import type { Entry } from './roster.js';

/** As the benchmark loads a server: new payments on rail ledger, each between two of 10,000 accounts. */
export interface Load {
  connections: number;
  warmUpSeconds: number;
  seconds: number;
}

export interface Speed {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Answers other than 200, warm-up included. They are no payments, and count in `perSecond` all the same. */
  errors: number;
}

/** One design under load, settings as shipped, on a copy of its own of the filled database. */
export async function measureSpeed(
  { databases, filled, redis, signal }: SpeedScene,
  entry: Entry,
  { connections, warmUpSeconds, seconds }: Load,
): Promise<Speed> {
  const databaseUrl = await databases.copy(filled);
  await databases.checkpoint();
  const environment = {
    DATABASE_URL: databaseUrl,
    LOG_LEVEL: 'fatal',
    ...(redis && { LAB_REDIS_URL: redis.url }),
  };
  const server = await startCompared(entry, environment, signal);
  const job = {
    ...{ connections, warmUpSeconds, seconds },
    ...({ payee: 'another customer', rail: 'ledger', keysRepeated: 0 } as const),
  };
  const generator = new LoadGenerator({ ...job, url: `${server.url}/payments` }, signal);
  try {
    const { latenciesMs, errors } = await generator.done();
    return {
      perSecond: latenciesMs.length / seconds,
      p50Ms: percentile(latenciesMs, 0.5),
      p99Ms: percentile(latenciesMs, 0.99),
      errors: Object.values(errors).reduce((sum, count) => sum + count, 0),
    };
  } finally {
    await generator.end();
    await end(server.process);
    await databases.drop(databaseUrl);
  }
}

export interface SpeedScene {
  databases: DatabaseServer;
  /** The database to copy. */
  filled: string;
  redis: Redis | null;
  signal: AbortSignal;
}

/** @param sorted ascending */
function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
