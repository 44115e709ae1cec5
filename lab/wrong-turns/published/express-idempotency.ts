import type { RequestListener } from 'node:http';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { ApiKeys, unknownCaller } from '../../../src/http/api-keys.js';
import { Problem, problemToJson } from '../../../src/http/problem.js';
import type { PaymentBody } from '../../../src/payments/payment-body.js';
import type { Tools } from '../../compare/design.js';
import { readOrder } from '../../compare/order.js';
import { loadPackage } from './load-package.js';

/**
 * express-idempotency as its page shows it, on the Express it was written for, with the store it brings. Keys of two
 * customers are not told apart; nobody here has the same.
 *
 * @returns where it listens
 */
export async function serveExpressIdempotency({ dataSource, till, settings }: Tools): Promise<string> {
  const express = await loadPackage<Express>('express');
  const { idempotency, getSharedIdempotencyService } =
    await loadPackage<ExpressIdempotency>('express-idempotency');
  const apiKeys = new ApiKeys(dataSource, settings);

  const app = express();
  app.use(express.json());
  app.use(idempotency());
  app.post('/payments', async (request, response) => {
    const service = getSharedIdempotencyService();
    if (service.isHit(request)) return;
    try {
      const caller = await apiKeys.callerOf((request.headers.authorization ?? '').replace('Bearer ', ''));
      if (caller === unknownCaller) throw new Problem('unauthenticated', 'Who is this?');
      const order = readOrder(caller.customerId, request.rawHeaders, request.body);
      const { status, body } = await till.pay(order);
      response.status(status).type('json').send(body);
    } catch (error) {
      await service.reportError(request);
      const { code, detail } =
        error instanceof Problem ? error : new Problem('internal', 'Something failed.');
      const problem = problemToJson(code, detail);
      response.status(problem.status).type('json').send(JSON.stringify(problem));
    }
  });
  const server = createServer(app).listen(settings.port, settings.host);
  await once(server, 'listening');
  return `http://${settings.host}:${(server.address() as AddressInfo).port}`;
}

type Request = IncomingMessage & { body: PaymentBody };

interface Response extends ServerResponse {
  status(code: number): this;
  type(name: string): this;
  send(body: string): void;
}

/** As much of both packages as is used. */
interface Express {
  (): RequestListener & {
    use(middleware: unknown): void;
    post(path: string, handler: (request: Request, response: Response) => Promise<void>): void;
  };
  json(): unknown;
}

interface ExpressIdempotency {
  idempotency: () => unknown;
  getSharedIdempotencyService: () => {
    isHit(request: Request): boolean;
    reportError(request: Request): Promise<void>;
  };
}
