import type { Result } from './types.js';

/** One page of a list, newest first. */
export interface Page<T> {
  readonly object: 'list';
  readonly data: readonly T[];
  /** What to ask for next, as `after`; null on the last page. */
  readonly next: string | null;
}

/**
 * A list that is read as far as somebody walks it: `for await (const payment of paySam.payments.list())` asks for a
 * page when it needs one, and for no more once the loop is left. Each walk begins anew, at `after` or the newest.
 */
export class List<T> implements AsyncIterable<T> {
  constructor(
    private readonly ask: (after: string | undefined) => Promise<Result<Page<T>>>,
    private readonly after: string | undefined,
  ) {}

  /** The first page alone, with its course. */
  page(): Promise<Result<Page<T>>> {
    return this.ask(this.after);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let after = this.after;
    do {
      const { data }: Result<Page<T>> = await this.ask(after);
      yield* data.data;
      after = data.next ?? undefined;
    } while (after !== undefined);
  }
}
