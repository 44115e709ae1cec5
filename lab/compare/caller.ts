import { setTimeout as sleep } from 'node:timers/promises';

/** Which key a client sends with an attempt at one intended payment. */
export interface Client {
  keyOf(intended: string): string;
}

/** The right one: the key is made with the intention, and is the same on every attempt. */
export const faithful: Client = { keyOf: intended => intended };

/** One whole answer. */
export interface Told {
  status: number;
  body: string;
  code: string | undefined;
}

export interface Intention {
  /** Stands for what the customer means to happen once. */
  key: string;
  apiKey: string;
  body: object;
}

/** How long one attempt waits for its answer, in milliseconds. A bank payment waits for its end. */
const attemptPatienceMs = 3_000;

/** Between two attempts, in milliseconds: a caller that is told to come back does. */
const pauseMs = 100;

/** Sends requests, as many as it takes, and keeps what it was told in the end. */
export class Caller {
  /** Definitive answers, one for each time that one was asked for. */
  readonly ends: Told[] = [];

  constructor(
    private readonly client: Client,
    readonly intention: Intention,
  ) {}

  /** One attempt. @returns undefined where no whole answer came: what happened is then unknown */
  async attempt(url: string): Promise<Told | undefined> {
    const { key, apiKey, body } = this.intention;
    try {
      const answer = await fetch(`${url}/payments`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${apiKey}`,
          'idempotency-key': this.client.keyOf(key),
          'content-type': 'application/json',
        },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(attemptPatienceMs),
      });
      const text = await answer.text();
      return { status: answer.status, body: text, code: codeIn(text) };
    } catch {
      return undefined;
    }
  }

  /** Tries until it is told something final, for `patienceMs` at most. @returns whether it was */
  async untilTold(url: string, patienceMs: number): Promise<boolean> {
    for (const until = performance.now() + patienceMs; ;) {
      const told = await this.attempt(url);
      if (told && isFinal(told)) {
        this.ends.push(told);
        return true;
      }
      if (performance.now() > until) return false;
      await sleep(pauseMs);
    }
  }
}

/** Whether it makes no sense to send the same again. A 409 means "come back", unless it names a collision. */
export function isFinal({ status, code }: Told): boolean {
  if (status === 200 || status === 402) return true;
  if (status === 409) return code === 'collision_detected';
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

function codeIn(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { code?: string }).code;
  } catch {
    return undefined;
  }
}
