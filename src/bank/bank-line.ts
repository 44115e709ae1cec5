import { Pool, type Dispatcher } from 'undici';
import type { Settings } from '../settings.js';
import { BankRequest, type HttpEnd } from './bank-request.js';
import { Call } from './call.js';
import { Gate } from './gate.js';

export type LineSettings = Pick<
  Settings,
  | 'bankUrl'
  | 'bankApiKey'
  | 'bankConnectTimeoutMs'
  | 'bankRequestTimeoutMs'
  | 'bankTimeoutMs'
  | 'bankRequestsAtOnceMax'
  | 'bankWaitingMax'
  | 'bankBreakMs'
  | 'bankAnswerBytesMax'
>;

const closing = 'this process is stopping';

/** The line to the bank: connections, the key that opens it, and the calls that are on it. */
export class BankLine {
  private readonly pool: Pool;
  private readonly gate: Gate;
  private readonly calls = new Set<Call>();
  private readonly prefix: string;
  private readonly headers: string[];
  private readonly headersWithBody: string[];
  private isClosed = false;

  /** @throws TypeError where `bankUrl` is no URL; an empty one is none */
  constructor(private readonly settings: LineSettings) {
    const { origin, pathname } = new URL(settings.bankUrl);
    this.prefix = pathname.replace(/\/$/, '');
    this.headers = ['authorization', `Bearer ${settings.bankApiKey}`, 'accept', 'application/json'];
    this.headersWithBody = [...this.headers, 'content-type', 'application/json'];
    this.gate = new Gate(settings);
    // It follows no redirect, so the key goes nowhere else; and it repeats nothing.
    this.pool = new Pool(origin, {
      connections: settings.bankRequestsAtOnceMax,
      // One request at a time on a connection: a second one would hang on the fate of the first.
      pipelining: 1,
      allowH2: false,
      connectTimeout: settings.bankConnectTimeoutMs,
      maxResponseSize: settings.bankAnswerBytesMax,
      // `BankRequest` has one time-out for everything.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  get isAnswering(): boolean {
    return this.gate.isAnswering;
  }

  /** Runs `work` as one call, which is over when its time is, or when `signal` is aborted. */
  async during<T>(signal: AbortSignal, work: (call: Call) => Promise<T>): Promise<T> {
    const call = new Call(this.settings.bankTimeoutMs, signal);
    this.calls.add(call);
    if (this.isClosed) call.cut(closing);
    try {
      return await work(call);
    } finally {
      call.end();
      this.calls.delete(call);
    }
  }

  /** Makes one request, when its turn comes. Never rejects. */
  async exchange(call: Call, method: 'GET' | 'PUT', path: string, body?: string): Promise<HttpEnd> {
    const options: Dispatcher.DispatchOptions = {
      method,
      path: this.prefix + path,
      headers: body === undefined ? this.headers : this.headersWithBody,
      body: body ?? null,
    };
    const request = new BankRequest(options, this.settings.bankRequestTimeoutMs);
    call.current = request;
    if (call.whyOver !== undefined) request.cut(call.whyOver);
    else void this.gate.pass(request, this.pool);
    const end = await request.end;
    call.current = undefined;
    return end;
  }

  /** Ends every call, and leaves no connection behind. */
  async close(): Promise<void> {
    this.isClosed = true;
    for (const call of this.calls) call.cut(closing);
    await this.pool.destroy();
  }
}
