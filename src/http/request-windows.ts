import type { FastifyRateLimitStore } from '@fastify/rate-limit';
import { LRUCache } from 'lru-cache';

/** Customers that are remembered at once. The window of whoever asked longest ago is forgotten first. */
const customersMax = 5_000;

interface Window {
  requests: number;
  readonly endsAt: number;
}

/**
 * Counts the requests of each customer in windows, by a clock that nobody can set. The limiter's own store goes by the
 * time of day: should that be set back two hours, it would refuse whoever has used up a second for two hours.
 */
export class RequestWindows implements FastifyRateLimitStore {
  private readonly windows = new LRUCache<string, Window>({ max: customersMax });

  incr(
    customer: string,
    callback: (error: null, result: { current: number; ttl: number }) => void,
    windowMs: number,
  ): void {
    const now = performance.now();
    const last = this.windows.get(customer);
    const window = last && now < last.endsAt ? last : { requests: 0, endsAt: now + windowMs };
    window.requests += 1;
    this.windows.set(customer, window);
    // Whole milliseconds, at least one: this is rounded up to the seconds that a caller is told.
    callback(null, { current: window.requests, ttl: Math.min(windowMs, Math.ceil(window.endsAt - now)) });
  }

  child(): RequestWindows {
    return new RequestWindows();
  }
}
