import type { Answer, Design, Order, Tools } from '../compare/design.js';

/**
 * Wrong turn: no idempotency at all.
 *
 * It looks as if nothing were needed: the payment is one transaction, so it happens wholly or not at all. That is
 * true, and answers another question. A caller that has lost the answer cannot know, and asks again.
 *
 * What breaks it: the same request sent twice. It pays twice, and each answer is honest.
 *
 * The right turn: a key for each intended payment, whose row is written with the payment; src/idempotency/claim.ts.
 */
export class Naive implements Design {
  constructor(private readonly tools: Tools) {}

  pay(order: Order): Promise<Answer> {
    return this.tools.till.pay(order);
  }
}
