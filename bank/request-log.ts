export interface LoggedRequest {
  at: string;
  method: 'PUT' | 'GET';
  reference: string;
  /** Null until the head of an answer is sent; it stays null when there is none. */
  status: number | null;
}

/** Requests that are remembered. A minute of heavy load, in about 20 MB. */
const entriesMax = 100_000;

/** Every request about one transfer that reached the bank, the latest ones. In memory: it is evidence, not books. */
export class RequestLog {
  private entries: LoggedRequest[] = [];

  note(method: 'PUT' | 'GET', reference: string): LoggedRequest {
    const entry = { at: new Date().toISOString(), method, reference, status: null };
    this.entries.push(entry);
    // Seldom and many at once: to move a hundred thousand entries up for each new one would be slow.
    if (this.entries.length >= entriesMax * 1.2) this.entries = this.entries.slice(-entriesMax);
    return entry;
  }

  list(reference: string | null) {
    const latest = this.entries.slice(-entriesMax);
    const requests = reference === null ? latest : latest.filter(entry => entry.reference === reference);
    const puts = requests.filter(({ method }) => method === 'PUT').length;
    return { requests, counts: { PUT: puts, GET: requests.length - puts } };
  }

  clear(): void {
    this.entries = [];
  }
}
