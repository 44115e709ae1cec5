import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import { join, normalize } from 'node:path';
import type { AddressInfo } from 'node:net';
import { chromium, type Browser } from 'playwright-core';
import { countRows } from '../../test/support/invariants.js';
import { setUpScene } from '../../test/support/scene.js';

const executablePath = [process.env['CHROMIUM_PATH'], '/usr/bin/chromium', '/usr/bin/google-chrome'].find(
  path => path && existsSync(path),
);
const inBrowser = executablePath ? it : it.skip;
const unless = executablePath ? '' : ' (skipped: no Chromium here; CHROMIUM_PATH may name one)';

/** Where the compiled client is: `npx tsc -p client`. */
const built = 'client/dist/src';

describe('a page in a browser', () => {
  const scene = setUpScene();
  let server: Server;
  let origin: string;
  let browser: Browser | undefined;
  /** How many of the next answers get lost on their way to the browser. */
  let answersLost = 0;

  beforeAll(async () => {
    const api = await scene.boot();
    // One origin for the page, the client's files and the API, as behind a gateway: the API has no CORS.
    server = createServer((incoming, outgoing) => {
      const path = incoming.url ?? '/';
      if (path === '/') {
        outgoing.setHeader('content-type', 'text/html').end('<!doctype html><title>Pay Sam</title>');
      } else if (path.startsWith('/client/')) {
        const file = join(built, normalize(path.slice('/client/'.length)));
        void readFile(file).then(
          text => outgoing.setHeader('content-type', 'text/javascript').end(text),
          () => outgoing.writeHead(404).end(),
        );
      } else {
        const { method = 'GET', headers } = incoming;
        const passedOn = request(api.url + path.replace(/^\/api/, ''), { method, headers }, answer => {
          if (method === 'POST' && answersLost > 0) {
            answersLost -= 1;
            // Begun, and then lost: before its first byte, Chromium would send the request again by itself.
            outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
            outgoing.write('{', () => outgoing.destroy());
            answer.resume();
            return;
          }
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(outgoing);
        });
        incoming.pipe(passedOn);
      }
    }).listen(0, '127.0.0.1');
    await new Promise(resolve => server.once('listening', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    // As root, Chromium has no sandbox; the only page it sees here is ours.
    if (executablePath) browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    server.close();
    server.closeAllConnections();
  });

  inBrowser(
    `pays once, also when the first answer is lost on its way${unless}`,
    async () => {
      const before = await countRows(scene.sql);
      const page = await (browser as Browser).newPage();
      const complaints: string[] = [];
      page.on('pageerror', error => complaints.push(error.message));
      await page.goto(origin);
      answersLost = 1;
      const told = await page.evaluate(
        async ({ apiKey, from }) => {
          const name = `${from}/client/client.js`;
          const { PaySam, MemoryJournal } = (await import(name)) as typeof import('../src/client.js');
          const events: string[] = [];
          const journal = new MemoryJournal();
          const client = new PaySam({
            apiKey,
            baseUrl: `${from}/api`,
            journal,
            onEvent: event => {
              if (event.type === 'exchange') events.push(event.exchange.kind);
            },
          });
          const result = await client.payments.create({ to: 'sam', amount: 100, currency: 'GBP' });
          const { data, attempts, replayed, idempotencyKey, requestIds } = result;
          return {
            status: data.status,
            isSame: data.idempotency_key === idempotencyKey,
            attempts,
            replayed,
            ids: requestIds.length,
            events,
            left: (await journal.unfinished()).length,
          };
        },
        { apiKey: scene.alice.apiKey, from: origin },
      );
      expect(told).toEqual({
        status: 'succeeded',
        isSame: true,
        attempts: 2,
        replayed: true,
        ids: 2,
        events: ['broken', 'answered'],
        left: 0,
      });
      expect((await countRows(scene.sql)).payments).toBe(before.payments + 1);

      // Nothing listens: in a browser that looks like any other failure, and is not taken for certain.
      const unsure = await page.evaluate(
        async ({ from }) => {
          const name = `${from}/client/client.js`;
          const { PaySam } = (await import(name)) as typeof import('../src/client.js');
          const client = new PaySam({ apiKey: 'sk', baseUrl: 'http://127.0.0.1:9', attemptsMax: 1 });
          return client.payments.create({ to: 'sam', amount: 100, currency: 'GBP' }).then(
            () => 'paid',
            (error: unknown) => (error as Error).name,
          );
        },
        { from: origin },
      );
      expect(unsure).toBe('OutcomeUnknown');
      expect(complaints).toEqual([]);
      await page.close();
    },
    60_000,
  );
});
