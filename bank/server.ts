import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorAnswer, Refusal, send, type Exchange } from './answer.js';
import { Barriers } from './barriers.js';
import { Books } from './books.js';
import { serveControl } from './control.js';
import { Faults } from './faults.js';
import { Payees } from './payees.js';
import { RequestLog } from './request-log.js';
import { defaultSettings, type BankSettings } from './settings.js';
import { serveStatement, serveTransfer, type Bank } from './transfers.js';

export interface RunningBank {
  url: string;
  port: number;
  /** Drops what is held or hanging, and closes the books. */
  stop: () => Promise<void>;
}

/** Opens the books and listens. Settings left out are the defaults. */
export async function startBank(changed: Partial<BankSettings> = {}): Promise<RunningBank> {
  const settings: BankSettings = { ...defaultSettings, ...changed };
  const bank: Bank = {
    settings,
    books: new Books(settings.books),
    payees: new Payees(),
    faults: new Faults(),
    barriers: new Barriers(),
    requests: new RequestLog(),
  };
  const server = createServer((request, response) => {
    void serve(bank, request, response);
  });
  try {
    server.listen(settings.port, settings.host);
    await once(server, 'listening');
  } catch (error) {
    bank.books.close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  const host = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
  return {
    url: `http://${host}:${port}`,
    port,
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      bank.books.close();
    },
  };
}

async function serve(bank: Bank, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = URL.parse(request.url ?? '', 'http://bank') ?? new URL('http://bank/');
  const exchange: Exchange = { request, response, url };
  try {
    await route(bank, exchange);
  } catch (error) {
    // A caller that left in the middle of its body has asked for nothing, and hears nothing.
    if (!(error instanceof Refusal) && !request.complete) return;
    if (!(error instanceof Refusal)) console.error(error);
    const mistake = errorAnswer(500, 'internal_error', 'The bank made a mistake: ask again.');
    send(exchange, error instanceof Refusal ? error.answer : mistake);
  }
}

async function route(bank: Bank, exchange: Exchange): Promise<void> {
  const { request, url } = exchange;
  const { method } = request;
  if (method === 'GET' && url.pathname === '/health') {
    send(exchange, { status: 200, body: { status: 'ok' } });
    return;
  }
  // The demo's key is published: there is nothing to find out by measuring how long this comparison takes.
  if (request.headers.authorization !== `Bearer ${bank.settings.apiKey}`) {
    throw new Refusal(401, 'unauthorized', 'Send "Authorization: Bearer <key>".', {
      'WWW-Authenticate': 'Bearer',
    });
  }
  if (method === 'GET' && url.pathname === '/transfers') {
    await serveStatement(bank, exchange);
    return;
  }
  const transfers = '/transfers/';
  if (url.pathname.startsWith(transfers) && (method === 'GET' || method === 'PUT')) {
    await serveTransfer(bank, exchange, url.pathname.slice(transfers.length));
    return;
  }
  if (bank.settings.control && url.pathname.startsWith('/control/')) {
    const answer = await serveControl(bank, exchange);
    if (answer) {
      send(exchange, answer);
      return;
    }
  }
  throw new Refusal(404, 'not_found', 'The bank does nothing by this method and path.');
}
