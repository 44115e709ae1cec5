import { type FastifyInstance, type FastifyReply } from 'fastify';
import { Settings } from '../settings.js';
import type { AuthenticatedRequest, Caller } from './caller.js';
import { Problem } from './problem.js';

type Check = ReturnType<FastifyInstance['createRateLimit']>;

/**
 * How much one customer may ask for, in this process: so many requests a second, so many at once. Whoever asks for
 * more is told 429 before anything looks at its key. By customer, never by address: an address can be had by anybody.
 *
 * Not promised: a limit over all processes. Each has its own, and so have the customers more with each process.
 */
export class Traffic {
  private readonly inFlight = new Map<string, number>();
  private check: Check | undefined;

  constructor(private readonly settings: Settings) {}

  /** Called once the server knows the limiter. */
  begin(server: FastifyInstance): void {
    this.check = server.createRateLimit({
      max: this.settings.requestsPerSecondMax,
      timeWindow: 1_000,
      keyGenerator: request => (request as AuthenticatedRequest).caller?.customerId ?? '',
    });
    // Every answer passes here, also one whose caller has hung up: what it asked for took its place until now.
    server.addHook('onSend', (request: AuthenticatedRequest, _reply, _payload, done) => {
      this.release(request);
      done();
    });
  }

  /** Lets a request of a known caller in, and counts it until its answer is there. @throws Problem rate_limited */
  async admit(request: AuthenticatedRequest, reply: FastifyReply, { customerId }: Caller): Promise<void> {
    const limit = await this.check?.(request);
    if (limit && !limit.isAllowed) {
      const { max, remaining, ttlInSeconds: seconds } = limit;
      reply.headers({ 'ratelimit-limit': max, 'ratelimit-remaining': remaining, 'ratelimit-reset': seconds });
      if (limit.isExceeded) throw tooMuch(`At most ${max} requests a second are taken.`, seconds);
    }
    const { inFlightPerCustomerMax } = this.settings;
    const atOnce = this.inFlight.get(customerId) ?? 0;
    if (atOnce >= inFlightPerCustomerMax) {
      throw tooMuch(`At most ${inFlightPerCustomerMax} requests are taken at once.`, 1);
    }
    this.inFlight.set(customerId, atOnce + 1);
    request.countedFor = customerId;
  }

  private release(request: AuthenticatedRequest): void {
    const { countedFor } = request;
    if (countedFor === undefined) return;
    request.countedFor = undefined;
    const left = (this.inFlight.get(countedFor) ?? 1) - 1;
    if (left > 0) this.inFlight.set(countedFor, left);
    else this.inFlight.delete(countedFor);
  }
}

function tooMuch(detail: string, retryAfterSeconds: number): Problem {
  return new Problem('rate_limited', detail, {
    headers: { 'retry-after': String(Math.max(1, retryAfterSeconds)) },
  });
}
