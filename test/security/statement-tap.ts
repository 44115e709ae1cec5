import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';

/** A listener between the API and PostgreSQL: it lets everything pass, and keeps the text of each statement. */
export interface StatementTap {
  url: string;
  /** As they were sent to be parsed, without their parameters, which travel apart. */
  statements: Set<string>;
  stop: () => void;
}

/**
 * Reads what the client says, message by message: Parse and Query carry a statement.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export async function tapStatements(databaseUrl: string): Promise<StatementTap> {
  const statements = new Set<string>();
  const target = new URL(databaseUrl);
  const server = createServer(client => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) socket.on('error', () => socket.destroy());
    let rest = Buffer.alloc(0);
    let hasStarted = false;
    client.on('data', chunk => {
      rest = Buffer.concat([rest, chunk]);
      for (;;) {
        // The first message has no type; every other has one byte of it before its length.
        const typeLength = hasStarted ? 1 : 0;
        if (rest.length < typeLength + 4) return;
        const length = typeLength + rest.readInt32BE(typeLength);
        if (rest.length < length) return;
        const type = hasStarted ? String.fromCharCode(rest[0] ?? 0) : '';
        const strings = rest.toString('utf8', typeLength + 4, length).split('\0');
        // Parse: the name of the statement, then its text. Query: the text.
        if (type === 'P') statements.add(strings[1] ?? '');
        if (type === 'Q') statements.add(strings[0] ?? '');
        hasStarted = true;
        rest = rest.subarray(length);
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: Object.assign(new URL(databaseUrl), { host: `127.0.0.1:${port}` }).href,
    statements,
    stop: () => server.close(),
  };
}
