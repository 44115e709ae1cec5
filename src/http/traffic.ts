import { type FastifyInstance, type FastifyReply } from 'fastify';
import { Settings } from '../settings.js';
import type { AuthenticatedRequest } from './caller.js';
import { Problem } from './problem.js';

type Check = ReturnType<FastifyInstance['createRateLimit']>;

/**
 * How much one customer may ask for, in this process: so many requests a second, so many at once. Whoever asks for
 * more is told 429 before anything looks at its key. By customer, never by address: an address can be had by anybody.
 *
 * Not promised: a limit over all processes. Each has its own, and so have the customers more with each process.
 */
export class Traffic {
  private readonly inFlight = new Map<string, Set<AuthenticatedRequest>>();
  private check: Check | undefined;

  constructor(private readonly settings: Settings) {}

  /** Called once the server knows the limiter. */
  begin(server: FastifyInstance): void {
    this.check = server.createRateLimit({
      max: this.settings.requestsPerSecondMax,
      timeWindow: 1_000,
      keyGenerator: request => (request as AuthenticatedRequest).caller?.customerId ?? '',
    });
  }

  /** Lets a request of a known caller in, and counts it until its answer is through. @throws Problem rate_limited */
  async admit(request: AuthenticatedRequest, reply: FastifyReply, customerId: string): Promise<void> {
    const limit = await this.check?.(request);
    if (limit && !limit.isAllowed) {
      const { max, remaining, ttlInSeconds: seconds } = limit;
      reply.headers({ 'ratelimit-limit': max, 'ratelimit-remaining': remaining, 'ratelimit-reset': seconds });
      if (limit.isExceeded) throw tooMuch(`At most ${max} requests a second are taken.`, seconds);
    }
    const { inFlightPerCustomerMax } = this.settings;
    const own = this.inFlight.get(customerId) ?? new Set();
    if (own.size >= inFlightPerCustomerMax) forgetThoseWhoLeft(own);
    if (own.size >= inFlightPerCustomerMax) {
      throw tooMuch(`At most ${inFlightPerCustomerMax} requests are taken at once.`, 1);
    }
    this.inFlight.set(customerId, own.add(request));
    // Also when the caller hangs up; what it asked for goes on, and has its own bounds.
    reply.raw.once('close', () => {
      own.delete(request);
      if (own.size === 0 && this.inFlight.get(customerId) === own) this.inFlight.delete(customerId);
    });
  }
}

/** An answer that was never begun does not tell that its caller hung up: its connection does. */
function forgetThoseWhoLeft(requests: Set<AuthenticatedRequest>): void {
  for (const request of requests) if (request.raw.socket.destroyed) requests.delete(request);
}

function tooMuch(detail: string, retryAfterSeconds: number): Problem {
  return new Problem('rate_limited', detail, {
    headers: { 'retry-after': String(Math.max(1, retryAfterSeconds)) },
  });
}
