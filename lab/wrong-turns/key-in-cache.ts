import { LRUCache } from 'lru-cache';
import {
  replay,
  type Answer,
  type Design,
  type KeptAnswer,
  type Order,
  type Tools,
} from '../compare/design.js';

/**
 * Wrong turn: the key in a cache, with a time to live.
 *
 * It looks fast, and it is: no row, no index, and the claim is atomic, so that of two requests at once one is told to
 * come back. Old keys go by themselves.
 *
 * What breaks it: a retry that comes after the key has gone. Phones wake up after days, queues are replayed after
 * incidents; the payment is still there, its key is not, and the retry is a new payment. A cache in the process also
 * forgets with each restart and is not shared by two instances; one beside it, such as Redis, is lost at a fail-over
 * or when memory is short, and no transaction spans it and the database.
 *
 * The right turn: stored answers may go, the payment remembers its key for ever; migrations/0003-payments.ts and
 * src/idempotency/recall.ts.
 */
export class KeyInCache implements Design {
  private readonly kept: LRUCache<string, KeptAnswer>;

  constructor(private readonly tools: Tools) {
    this.kept = new LRUCache({ max: 1_000_000, ttl: tools.settings.answerRetentionMs });
  }

  async pay(order: Order): Promise<Answer> {
    const { customerId, key, fingerprint } = order;
    const owner = `${customerId} ${key}`;
    const seen = this.kept.get(owner);
    if (seen) return replay(seen, fingerprint);

    // Nothing runs between the look and this, so it is one step; SET NX is the same in Redis.
    this.kept.set(owner, { fingerprint, status: null, body: null });
    try {
      const answer = await this.tools.till.pay(order);
      this.kept.set(owner, { fingerprint, ...answer });
      return answer;
    } catch (error) {
      this.kept.delete(owner);
      throw error;
    }
  }
}
