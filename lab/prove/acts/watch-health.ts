import { setTimeout as sleep } from 'node:timers/promises';
import { Findings, type Violation } from '../violation.js';

/** Between two looks, in milliseconds: as often as an orchestrator looks that is in a hurry. */
const everyMs = 1_000;

/** Longer than any healthy answer takes on a busy machine. */
const patienceMs = 10_000;

/**
 * Asks APIs for their readiness and their liveness all the time: whoever is not ready gets no callers, and whoever is not
 * alive is restarted. Neither may follow from what another company does.
 */
export class HealthWatch {
  private readonly found = new Findings('I13');
  private readonly stopping = new AbortController();
  private readonly watching: Promise<unknown>;
  private looks = 0;

  constructor(urls: readonly string[]) {
    this.watching = Promise.all(urls.map(url => this.watch(url)));
  }

  async stop(): Promise<{ looks: number; violations: readonly Violation[] }> {
    this.stopping.abort();
    await this.watching;
    return { looks: this.looks, violations: this.found.violations };
  }

  private async watch(url: string): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      for (const path of ['/health/ready', '/health/live']) {
        const began = performance.now();
        const status = await ask(url + path);
        this.looks += 1;
        const tookMs = Math.round(performance.now() - began);
        const at = new Date().toISOString();
        if (status !== 200) {
          this.found.add('an API is ready and alive without the bank', path, { at, status, tookMs });
        }
      }
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

async function ask(url: string): Promise<number | string> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(patienceMs) });
    await answer.text();
    return answer.status;
  } catch (error) {
    return (error as Error).message;
  }
}
