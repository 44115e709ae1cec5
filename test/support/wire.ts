import { connect, type Socket } from 'node:net';

/** An answer as it came over the wire: every header line, and the bytes of the body. */
export interface WireAnswer {
  status: number;
  /** Names in small letters, in the order in which they came. */
  headerLines: [name: string, value: string][];
  body: string;
}

export interface Exchange {
  /** All answers on the connection but the 1xx ones. */
  answers: WireAnswer[];
  closedByServer: boolean;
  tookMs: number;
}

interface Patience {
  /** How long more may come after a complete answer. */
  lingerMs?: number;
  giveUpMs?: number;
  /** The answer to HEAD has no body, whatever its Content-Length says. */
  isHead?: boolean;
}

/**
 * Sends exactly these bytes, and reads while it writes: a refusal may come before all of them are through, and a
 * reset after the answer is no fault. It never closes first, unless the server is silent.
 */
export function exchange(
  port: number,
  bytes: Buffer | string,
  { lingerMs = 500, giveUpMs = 12_000, isHead = false }: Patience = {},
): Promise<Exchange> {
  return new Promise(resolve => {
    const started = Date.now();
    const chunks: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let closedByServer = false;
    let linger: NodeJS.Timeout | undefined;
    const giveUp = setTimeout(() => socket.destroy(), giveUpMs);

    socket.on('data', chunk => {
      chunks.push(chunk);
      clearTimeout(linger);
      const { complete } = readAnswers(Buffer.concat(chunks), { isHead, isOver: false });
      if (complete) linger = setTimeout(() => socket.destroy(), lingerMs);
    });
    socket.on('end', () => (closedByServer = true));
    socket.on('error', () => (closedByServer = true));
    socket.on('close', () => {
      clearTimeout(giveUp);
      clearTimeout(linger);
      const { answers } = readAnswers(Buffer.concat(chunks), { isHead, isOver: true });
      resolve({ answers, closedByServer, tookMs: Date.now() - started });
    });
  });
}

/** A connection kept open over several requests, each answered before the next is sent. */
export class Conversation {
  private readonly socket: Socket;
  private received = Buffer.alloc(0);
  private seen = 0;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', chunk => (this.received = Buffer.concat([this.received, chunk])));
    this.socket.on('error', () => undefined);
  }

  /** @returns the next answer; `undefined` when the server closed the connection instead */
  async say(bytes: Buffer | string, withinMs = 5_000): Promise<WireAnswer | undefined> {
    this.socket.write(bytes);
    const until = Date.now() + withinMs;
    for (;;) {
      const { answers, complete } = readAnswers(this.received, { isHead: false, isOver: false });
      const next = answers[this.seen];
      if (next && (complete || answers.length > this.seen + 1)) {
        this.seen += 1;
        return next;
      }
      if (this.socket.destroyed || Date.now() > until) return undefined;
      await new Promise(resolve => setTimeout(resolve, 5));
    }
  }

  close(): void {
    this.socket.destroy();
  }
}

export function headerOf({ headerLines }: WireAnswer, name: string): string | undefined {
  return headerLines.find(([each]) => each === name)?.[1];
}

/** @returns the answers so far, and whether the last of them is whole */
function readAnswers(
  bytes: Buffer,
  { isHead, isOver }: { isHead: boolean; isOver: boolean },
): { answers: WireAnswer[]; complete: boolean } {
  const answers: WireAnswer[] = [];
  let rest = bytes;
  while (rest.length > 0) {
    const headEnd = rest.indexOf('\r\n\r\n');
    if (headEnd < 0) return { answers, complete: false };
    const [statusLine = '', ...lines] = rest.subarray(0, headEnd).toString('latin1').split('\r\n');
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1]);
    const headerLines = lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    });
    rest = rest.subarray(headEnd + 4);
    if (status < 200) continue;

    const answer = { status, headerLines, body: '' };
    const { body, length } = isHead ? { body: Buffer.alloc(0), length: 0 } : readBody(answer, rest, isOver);
    if (length === undefined) return { answers, complete: false };
    answers.push({ ...answer, body: body.toString() });
    rest = rest.subarray(length);
  }
  return { answers, complete: answers.length > 0 };
}

/** @returns the body, and how many bytes it took up; no length: not all of it is there yet */
function readBody(
  answer: WireAnswer,
  rest: Buffer,
  isOver: boolean,
): { body: Buffer; length: number | undefined } {
  const contentLength = headerOf(answer, 'content-length');
  if (contentLength !== undefined) {
    const length = Number(contentLength);
    return { body: rest.subarray(0, length), length: rest.length >= length ? length : undefined };
  }
  if (headerOf(answer, 'transfer-encoding') === 'chunked') return readChunks(rest);
  if (answer.status === 204 || answer.status === 304) return { body: Buffer.alloc(0), length: 0 };
  return { body: rest, length: isOver ? rest.length : undefined };
}

function readChunks(rest: Buffer): { body: Buffer; length: number | undefined } {
  const chunks: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = rest.indexOf('\r\n', at);
    if (lineEnd < 0) return { body: Buffer.concat(chunks), length: undefined };
    const size = Number.parseInt(rest.subarray(at, lineEnd).toString('latin1'), 16);
    const end = lineEnd + 2 + size + 2;
    if (rest.length < end) return { body: Buffer.concat(chunks), length: undefined };
    if (size === 0) return { body: Buffer.concat(chunks), length: end };
    chunks.push(rest.subarray(lineEnd + 2, end - 2));
    at = end;
  }
}
