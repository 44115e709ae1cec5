import { Problem } from '../../../src/http/problem.js';
import { inProgress, type Answer, type Design, type Order, type Tools } from '../../compare/design.js';
import { loadPackage } from './load-package.js';

/**
 * @node-idempotency/core, used as its own plug-in for Nest uses it: asked before the handler, told after it, and a
 * handler that has failed is stored as failed. The customer is part of the key, since the package knows of none.
 */
export class NodeIdempotency implements Design {
  private constructor(
    private readonly tools: Tools,
    private readonly idempotency: Idempotency,
    private readonly errorClass: new () => Error & { code: string },
  ) {}

  static async inMemory(tools: Tools): Promise<Design> {
    const { MemoryStorageAdapter } = await loadPackage<{ MemoryStorageAdapter: new () => Storage }>(
      '@node-idempotency/storage-adapter-memory',
    );
    return NodeIdempotency.over(new MemoryStorageAdapter(), tools);
  }

  /** @throws where `LAB_REDIS_URL` leads nowhere */
  static async inRedis(tools: Tools): Promise<Design> {
    const { RedisStorageAdapter } = await loadPackage<{
      RedisStorageAdapter: new (options: { url: string }) => Storage & { connect(): Promise<void> };
    }>('@node-idempotency/storage-adapter-redis');
    const storage = new RedisStorageAdapter({ url: process.env.LAB_REDIS_URL ?? '' });
    await storage.connect();
    return NodeIdempotency.over(storage, tools);
  }

  private static async over(storage: Storage, tools: Tools): Promise<Design> {
    const { Idempotency, IdempotencyError } = await loadPackage<{
      Idempotency: new (storage: Storage, options: { cacheTTLMS: number }) => Idempotency;
      IdempotencyError: new () => Error & { code: string };
    }>('@node-idempotency/core');
    const idempotency = new Idempotency(storage, { cacheTTLMS: tools.settings.answerRetentionMs });
    return new NodeIdempotency(tools, idempotency, IdempotencyError);
  }

  async pay(order: Order): Promise<Answer> {
    const { customerId, key, from, to, amount, currency, rail } = order;
    const request = {
      method: 'POST',
      path: '/payments',
      headers: { 'idempotency-key': `${customerId} ${key}` },
      body: { from, to, amount, currency, rail },
    };
    const seen = await this.idempotency.onRequest(request).catch((error: unknown) => {
      if (!(error instanceof this.errorClass)) throw error;
      if (error.code === 'REQUEST_IN_PROGRESS') throw inProgress();
      throw new Problem('collision_detected', error.message);
    });
    if (seen?.body) return seen.body;
    if (seen) throw new Problem('internal', 'The first request has failed.');

    try {
      const answer = await this.tools.till.pay(order);
      await this.idempotency.onResponse(request, { body: answer });
      return answer;
    } catch (error) {
      await this.idempotency.onResponse(request, { error });
      throw error;
    }
  }
}

type Storage = object;

interface Idempotency {
  onRequest(request: object): Promise<{ body?: Answer } | undefined>;
  onResponse(request: object, response: { body?: Answer; error?: unknown }): Promise<void>;
}
