import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Client } from 'pg';
import { Messages, type Message } from '../support/postgres-proxy.js';

/**
 * A transaction pooler, as hard on its clients as one can be: each transaction, and each statement outside one, gets
 * a server connection that is brand new, and is closed behind it. Whatever a session keeps is gone by the next:
 * settings, advisory locks, LISTEN, cursors, temporary tables.
 *
 * Prepared statements are carried along, as PgBouncer does from 1.21 on: a connection that does not know the one that
 * is asked for gets to parse it first, and the client does not see the answer to that.
 *
 * https://www.postgresql.org/docs/current/protocol-flow.html
 */
export class TransactionPooler {
  /** Server connections so far, each for one transaction. */
  lent = 0;
  /** The text of each statement that went through. */
  readonly statements = new Set<string>();
  readonly url: string;
  private readonly sessions = new Set<Session>();

  private constructor(
    private readonly server: Server,
    private readonly databaseUrl: string,
  ) {
    const { port } = server.address() as AddressInfo;
    this.url = Object.assign(new URL(databaseUrl), { host: `127.0.0.1:${port}` }).href;
    server.on('connection', client => {
      const session = new Session(client, this);
      this.sessions.add(session);
      client.once('close', () => this.sessions.delete(session));
    });
  }

  static async start(databaseUrl: string): Promise<TransactionPooler> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TransactionPooler(server, databaseUrl);
  }

  stop(): void {
    this.server.close();
    for (const session of this.sessions) session.close();
  }

  /** A socket on which the login is done: the driver knows how, and is not asked for anything else. */
  async lend(): Promise<Socket> {
    this.lent += 1;
    const client = new Client({ connectionString: this.databaseUrl });
    client.on('error', () => undefined);
    await client.connect();
    const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
    stream.removeAllListeners('data');
    return stream;
  }
}

/** A server connection while somebody has it. */
interface Loan {
  readonly socket: Socket;
  /** Names of statements that this connection has parsed. */
  readonly known: Set<string>;
  /** Parse messages whose answers are still to come, in order; and before which Sync they were sent. */
  parses: { sync: number; isOurs: boolean }[];
  asked: number;
  answered: number;
  /** Between two Syncs, messages are under way that belong together. */
  isMidway: boolean;
}

class Session {
  private readonly requests = new Messages(false);
  private readonly prepared = new Map<string, Buffer>();
  private waiting: Message[] = [];
  private loan: Loan | undefined;
  private isBorrowing = false;

  constructor(
    private readonly client: Socket,
    private readonly pooler: TransactionPooler,
  ) {
    client.on('data', chunk => {
      for (const message of this.requests.read(chunk)) this.take(message);
    });
    client.on('error', () => undefined);
    client.on('close', () => this.loan?.socket.destroy());
  }

  close(): void {
    this.client.destroy();
  }

  private take(message: Message): void {
    if (message.type === '') this.client.write(welcome);
    else if (message.type === 'X') this.client.end();
    else {
      this.waiting.push(message);
      if (this.loan) this.forward(this.loan);
      else if (!this.isBorrowing) void this.borrow();
    }
  }

  private async borrow(): Promise<void> {
    this.isBorrowing = true;
    try {
      const socket = await this.pooler.lend();
      const loan = { socket, known: new Set<string>(), parses: [], asked: 0, answered: 0, isMidway: false };
      const replies = new Messages(true);
      socket.on('data', (chunk: Buffer) => {
        for (const reply of replies.read(chunk)) this.answer(loan, reply);
      });
      if (this.client.destroyed) socket.destroy();
      this.loan = loan;
      this.forward(loan);
    } catch {
      this.client.destroy();
    } finally {
      this.isBorrowing = false;
    }
  }

  private forward(loan: Loan): void {
    for (const message of this.waiting) {
      const { type, bytes } = message;
      const [first = '', second = ''] = bytes.toString('utf8', 5).split('\0', 2);
      if (type === 'P') {
        if (first !== '') this.prepared.set(first, bytes);
        this.parse(loan, { name: first, bytes, isOurs: false });
      } else if (type === 'B') this.makeKnown(loan, second);
      else if (type === 'D' && first.startsWith('S')) this.makeKnown(loan, first.slice(1));
      if (type === 'Q') this.pooler.statements.add(first);
      if (type === 'P') this.pooler.statements.add(second);
      else loan.socket.write(bytes);
      loan.isMidway = type !== 'Q' && type !== 'S';
      if (!loan.isMidway) loan.asked += 1;
    }
    this.waiting = [];
  }

  private makeKnown(loan: Loan, name: string): void {
    const bytes = this.prepared.get(name);
    if (bytes && !loan.known.has(name)) this.parse(loan, { name, bytes, isOurs: true });
  }

  private parse(loan: Loan, { name, bytes, isOurs }: { name: string; bytes: Buffer; isOurs: boolean }): void {
    loan.known.add(name);
    loan.parses.push({ sync: loan.asked, isOurs });
    loan.socket.write(bytes);
  }

  private answer(loan: Loan, { type, bytes }: Message): void {
    if (type === '1' && loan.parses.shift()?.isOurs) return;
    this.client.write(bytes);
    if (type !== 'Z') return;
    // After an error the server skips to the next Sync, and what it skipped is not answered.
    loan.parses = loan.parses.filter(({ sync }) => sync > loan.answered);
    loan.answered += 1;
    const isOutside = bytes.toString('latin1', 5, 6) === 'I';
    if (!isOutside || loan.isMidway || loan.answered < loan.asked) return;
    this.loan = undefined;
    loan.socket.end(message('X'));
  }
}

function message(type: string, ...parts: (string | number)[]): Buffer {
  const content = Buffer.concat(
    parts.map(part => {
      if (typeof part === 'string') return Buffer.from(`${part}\0`);
      const number = Buffer.alloc(4);
      number.writeInt32BE(part);
      return number;
    }),
  );
  const length = Buffer.alloc(4);
  length.writeInt32BE(content.length + 4);
  return Buffer.concat([Buffer.from(type), length, content]);
}

/** Logged in, as far as the client can see: AuthenticationOk, ParameterStatus, BackendKeyData, ReadyForQuery. */
const welcome = Buffer.concat([
  message('R', 0),
  message('S', 'server_version', '18.0'),
  message('S', 'client_encoding', 'UTF8'),
  message('S', 'standard_conforming_strings', 'on'),
  message('K', 0, 0),
  Buffer.from('Z\0\0\0\x05I', 'latin1'),
]);
