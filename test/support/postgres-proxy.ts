import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { fast, SlowLine, type Slowness } from './slow-line.js';

/** What a COMMIT on its way looks like to the proxy: the statements of its transaction, itself included. */
export type WhichCommit = (statements: string[]) => boolean;

interface ArmedCommit {
  side: 'before' | 'after';
  nth: number;
  which: WhichCommit;
  /** Called when it is lost, instead of a reset: the caller is to hear nothing at all. */
  onHeld?: () => void;
}

/**
 * A TCP proxy before PostgreSQL that knows where a COMMIT begins and ends, so that a test can lose it on
 * either side of the server: the caller sees the same error, the database does not.
 *
 * It reads the frontend/backend protocol 3.0 message by message, because drivers send several messages in one
 * segment and a cut between segments would fall anywhere. TLS would hide the messages: connect without.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class PostgresProxy {
  /** Commits and messages that were cut, as evidence: a fault that never struck proves nothing. */
  cuts = 0;
  /** The same by kind, and what was slow or silent. */
  readonly struck: Record<string, number> = {};
  readonly url: string;
  slowness = fast;

  private readonly links = new Set<Link>();
  private readonly port: number;
  private silent = false;
  private armedCommit: ArmedCommit | undefined;
  private messagesLeft = Infinity;
  private welcomesToSpoil = 0;

  private constructor(
    private readonly server: Server,
    private databaseUrl: string,
  ) {
    this.port = (server.address() as AddressInfo).port;
    this.url = Object.assign(new URL(databaseUrl), { host: `127.0.0.1:${this.port}` }).href;

    server.on('connection', client => {
      const target = new URL(this.databaseUrl);
      const link = new Link(client, connect(Number(target.port || 5432), target.hostname), this);
      this.links.add(link);
      client.once('close', () => this.links.delete(link));
      if (this.silent) link.pause();
    });
  }

  static async start(databaseUrl: string): Promise<PostgresProxy> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new PostgresProxy(server, databaseUrl);
  }

  /**
   * Loses the `nth` COMMIT from now on, once: `before` its bytes reach the server, or `after` the server has
   * answered. Commits of transactions that wrote nothing are not counted, unless `which` says so.
   */
  cutCommit(side: 'before' | 'after', { nth = 1, which = wroteSomething } = {}): void {
    this.armedCommit = { side, nth, which };
  }

  /**
   * As `cutCommit`, but the caller is told nothing: it waits, and can be killed there. Resolves as soon as the COMMIT
   * has been withheld, or the server's answer to it.
   */
  holdCommit(side: 'before' | 'after', { nth = 1, which = wroteSomething } = {}): Promise<void> {
    return new Promise(resolve => {
      this.armedCommit = { side, nth, which, onHeld: resolve };
    });
  }

  /** Resets the connection that sends the `nth` message from now on, in place of that message. */
  resetAtMessage(nth: number): void {
    this.messagesLeft = nth;
  }

  /**
   * The next `n` connections are welcomed and told in the same breath that the server shuts down: no query of
   * theirs is there to be failed.
   */
  spoilWelcomes(n: number): void {
    this.welcomesToSpoil = n;
  }

  /** New connections lead to another server, as after a fail-over; those that stand still lead to the old one. */
  pointTo(databaseUrl: string): void {
    this.databaseUrl = databaseUrl;
  }

  /** New connections are refused; those that stand, stand. */
  refuse(): void {
    this.server.close();
  }

  /** Resets the connections that stand; new ones are taken, unless they are refused as well. */
  resetAll(): void {
    for (const link of this.links) link.reset();
  }

  /** A black hole: connections are taken, nothing comes through, nobody is told. */
  goSilent(): void {
    this.silent = true;
    for (const link of this.links) {
      this.count('silence');
      link.pause();
    }
  }

  /** Whatever is sent from now on, either way, arrives late, or in pieces. Nothing overtakes. */
  slowDown(slowness: Slowness): void {
    this.slowness = slowness;
  }

  count(what: string): void {
    this.struck[what] = (this.struck[what] ?? 0) + 1;
  }

  /** No more faults. What was held back in silence arrives now, as it would after a network's outage. */
  async heal(): Promise<void> {
    this.armedCommit = undefined;
    this.messagesLeft = Infinity;
    this.welcomesToSpoil = 0;
    this.silent = false;
    this.slowness = fast;
    for (const link of this.links) link.resume();
    if (!this.server.listening) await once(this.server.listen(this.port, '127.0.0.1'), 'listening');
  }

  stop(): void {
    this.server.close();
    for (const link of this.links) link.destroy();
  }

  /** Asked by a link before it forwards a message. */
  isMessageToCut(): boolean {
    if (--this.messagesLeft !== 0) return false;
    this.cuts++;
    this.count('reset at a message');
    return true;
  }

  /** Asked by a link when a login has succeeded. */
  isWelcomeToSpoil(): boolean {
    if (this.welcomesToSpoil === 0) return false;
    this.welcomesToSpoil--;
    this.cuts++;
    return true;
  }

  /** Asked by a link before it forwards a COMMIT. */
  commitToCut(statements: string[]): ArmedCommit | undefined {
    const armed = this.armedCommit;
    if (!armed?.which(statements) || --armed.nth > 0) return undefined;
    this.armedCommit = undefined;
    this.cuts++;
    this.count(`lost COMMIT ${armed.side}`);
    return armed;
  }
}

/** The default: a transaction that only read can be lost on either side with the same result. */
function wroteSomething(statements: string[]): boolean {
  return statements.some(text =>
    /\binsert into\b|\bdelete from\b|(?<!\bfor (no key )?)\bupdate\b/i.test(text),
  );
}

/** One client's connection and the one to the server that belongs to it. */
class Link {
  private readonly requests = new Messages(false);
  private readonly replies = new Messages(true);

  /** Prepared statements and portals by name, '' being the unnamed one: a COMMIT may be prepared long before. */
  private readonly statements = new Map<string, string>();
  private readonly portals = new Map<string, string>();
  private transaction: string[] = [];

  /**
   * The server ends its reply to the login, and to each Query and Sync, with one ReadyForQuery. So counting
   * both tells which reply a message belongs to, also when the driver does not wait for replies.
   */
  private repliesAsked = 1;
  private repliesDone = 0;
  private lastReply = Infinity;
  private lostCommit: ArmedCommit | undefined;
  private cut = false;
  private readonly toClient: SlowLine;
  private readonly toServer: SlowLine;

  constructor(
    private readonly client: Socket,
    private readonly server: Socket,
    private readonly proxy: PostgresProxy,
  ) {
    this.server.setNoDelay(true);
    const slowness = () => proxy.slowness;
    const onSlow = () => {
      proxy.count('slow');
    };
    this.toClient = new SlowLine(client, slowness, onSlow);
    this.toServer = new SlowLine(server, slowness, onSlow);
    client.on('data', chunk => {
      this.fromClient(chunk);
    });
    server.on('data', chunk => {
      this.fromServer(chunk);
    });
    // Whichever end closes, the other gets what was sent before, and then learns of it. 'close' follows 'error'.
    client
      .on('error', () => undefined)
      .on('close', () => {
        this.toServer.end();
      });
    server
      .on('error', () => undefined)
      .on('close', () => {
        this.toClient.end();
      });
  }

  pause(): void {
    this.client.pause();
    this.server.pause();
  }

  resume(): void {
    this.client.resume();
    this.server.resume();
  }

  destroy(): void {
    this.client.destroy();
    this.server.destroy();
  }

  private fromClient(chunk: Buffer): void {
    for (const message of this.requests.read(chunk)) {
      // After a COMMIT to be lost nothing more is sent: it would be carried out, and nobody would know.
      if (this.cut || this.repliesAsked === this.lastReply) return;
      if (this.proxy.isMessageToCut()) {
        this.reset();
        return;
      }
      const text = this.executedBy(message);
      if (text !== undefined && this.finishesTransaction(text)) {
        const lost = this.proxy.commitToCut(this.transaction);
        if (lost?.side === 'before') {
          this.lose(lost);
          return;
        }
        if (lost) {
          this.lostCommit = lost;
          this.lastReply = this.repliesAsked + 1;
        }
      }
      this.toServer.write(message.bytes);
      if (message.type === 'Q' || message.type === 'S') this.repliesAsked++;
    }
  }

  private fromServer(chunk: Buffer): void {
    // The answer to a request for TLS is a single byte, no message. It comes while the login is still awaited.
    if (!this.requests.typed) {
      this.toClient.write(chunk);
      return;
    }
    for (const { type, bytes } of this.replies.read(chunk)) {
      if (this.cut) return;
      const isLost = this.repliesDone + 1 === this.lastReply;
      if (type === 'Z' && this.repliesDone++ === 0 && this.proxy.isWelcomeToSpoil()) {
        this.cut = true;
        this.client.end(Buffer.concat([bytes, adminShutdown]));
        this.server.end();
        return;
      }
      if (!isLost) this.toClient.write(bytes);
      else if (type === 'Z') this.lose(this.lostCommit);
    }
  }

  private lose(commit: ArmedCommit | undefined): void {
    if (!commit?.onHeld) {
      this.reset();
      return;
    }
    this.cut = true;
    commit.onHeld();
  }

  /** The client sees a reset; the server sees a client that went away after what it had sent. */
  reset(): void {
    this.cut = true;
    this.client.resetAndDestroy();
    this.toServer.end();
  }

  /** The SQL that the server will carry out on receiving this message, if any. */
  private executedBy({ type, bytes }: Message): string | undefined {
    const [first = '', second = ''] = bytes.toString('utf8', 5).split('\0', 2);
    switch (type) {
      case 'Q': // Query: text
        return first;
      case 'P': // Parse: statement, text
        this.statements.set(first, second);
        return undefined;
      case 'B': // Bind: portal, statement
        this.portals.set(first, this.statements.get(second) ?? '');
        return undefined;
      case 'E': // Execute: portal
        return this.portals.get(first);
      default:
        return undefined;
    }
  }

  private finishesTransaction(text: string): boolean {
    if (/^\s*(begin|start transaction)\b/i.test(text)) this.transaction = [];
    this.transaction.push(text);
    return /(^|;)\s*(commit|end)(\s+(work|transaction))?\s*;?\s*$/i.test(text);
  }
}

/** ErrorResponse: what a server says to each client as it shuts down. */
const adminShutdown = errorResponse({ S: 'FATAL', V: 'FATAL', C: '57P01', M: 'terminating connection' });

function errorResponse(fields: Record<string, string>): Buffer {
  const content = Buffer.from(
    Object.entries(fields)
      .map(field => field.join('') + '\0')
      .join('') + '\0',
  );
  const head = Buffer.from('E\0\0\0\0');
  head.writeInt32BE(content.length + 4, 1);
  return Buffer.concat([head, content]);
}

export interface Message {
  /** One letter; '' for the first messages of a client, which have none. */
  type: string;
  bytes: Buffer;
}

/** Makes whole messages of a stream that arrives in pieces: type (1 byte), length (4, itself included), content. */
export class Messages {
  private rest: Buffer = Buffer.alloc(0);

  /** @param typed false for a client until it has sent its login: its first messages have no type */
  constructor(public typed: boolean) {}

  *read(chunk: Buffer): Generator<Message> {
    this.rest = Buffer.concat([this.rest, chunk]);
    for (;;) {
      const lengthAt = this.typed ? 1 : 0;
      if (this.rest.length < lengthAt + 4) return;
      const length = lengthAt + this.rest.readInt32BE(lengthAt);
      if (this.rest.length < length) return;
      const bytes = this.rest.subarray(0, length);
      this.rest = this.rest.subarray(length);
      const type = this.typed ? String.fromCharCode(bytes[0] ?? 0) : '';
      // Requests for TLS or GSS may come first; 3.0 and later is the login itself.
      if (!this.typed) this.typed = bytes.readInt16BE(4) === 3;
      yield { type, bytes };
    }
  }
}
