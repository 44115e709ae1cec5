/** The part of autocannon that the benchmark uses; the package brings no types. */
declare module 'autocannon' {
  import type { EventEmitter } from 'node:events';

  interface Options {
    url: string;
    connections: number;
    /** Seconds. */
    duration: number;
    /** Milliseconds between samples; a stop waits for the next one. */
    sampleInt?: number;
    setupClient?: (client: autocannon.Client) => void;
  }

  namespace autocannon {
    /** One connection, which sends a request as soon as the one before it is answered. */
    interface Client extends EventEmitter {
      /** What it sends next. */
      getRequestBuffer(): Buffer | string;
      on(event: 'response', listener: (status: number, bytes: number, milliseconds: number) => void): this;
      on(event: 'body', listener: (chunk: Buffer) => void): this;
    }
    interface Result {
      errors: number;
      timeouts: number;
    }
    interface Instance extends EventEmitter {
      stop(): void;
    }
  }

  function autocannon(
    options: Options,
    done: (error: Error | null, result: autocannon.Result) => void,
  ): autocannon.Instance;
  export = autocannon;
}
