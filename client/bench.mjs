import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PaySam } from './dist/src/client.js';

/**
 * What the client costs: how much longer a lone call takes than plain `fetch` with the same request, and how much memory
 * a thousand calls at once take. After `npx nest build` and `npx tsc -p client`: node client/bench.mjs
 *
 * The calls are made in turn, one plain, one through the client, so that whatever else the machine does meets both.
 */
const self = fileURLToPath(import.meta.url);
const apiKey = 'sk_demo_alice';
const params = { to: 'sam', amount: 1, currency: 'GBP' };

const [role, ...rest] = process.argv.slice(2);
if (role === 'server') serve();
else if (role === 'crowd') await crowd(...rest);
else await main();

async function main() {
  const trivial = fork(self, ['server']);
  const [{ url }] = await once(trivial, 'message');
  const dataDir = mkdtempSync(join(tmpdir(), 'paysam-bench-'));
  const api = await startApi(dataDir);
  try {
    console.log(`Node ${process.version}; a lone call, median of each:`);
    await alone('a trivial server', url, 4_000);
    await alone('the real API', api.url, 1_500);
    console.log('1,000 calls at once, most memory the process ever held:');
    for (const how of ['fetch', 'client']) {
      await crowdOf('a trivial server that takes 200 ms', how, `${url}/slow`);
      await crowdOf('the real API', how, api.url);
    }
  } finally {
    trivial.kill();
    api.stop();
    await api.exited;
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function alone(name, url, pairs) {
  const client = new PaySam({ apiKey, baseUrl: url });
  const ways = [() => plain(url), () => client.payments.create(params)];
  const tookMs = [[], []];
  for (let pair = -500; pair < pairs; pair += 1) {
    // Whoever comes second finds the connection warm: they take turns at that, too.
    for (const way of pair % 2 === 0 ? [0, 1] : [1, 0]) {
      const began = performance.now();
      await ways[way]();
      if (pair >= 0) tookMs[way].push(performance.now() - began);
    }
  }
  const [fetched, called] = tookMs.map(median);
  const more = ((called / fetched - 1) * 100).toFixed(1);
  console.log(
    `  ${name}: fetch ${inMicroseconds(fetched)}, client ${inMicroseconds(called)}: ${more} % more`,
  );
}

/** What somebody writes who wants an answer, and thinks of nothing else. */
async function plain(url) {
  const response = await fetch(`${url}/payments`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/json',
      'idempotency-key': crypto.randomUUID(),
    },
    body: JSON.stringify(params),
  });
  return response.json();
}

async function crowdOf(name, how, url) {
  const child = fork(self, ['crowd', how, url]);
  const [{ mib, failed }] = await once(child, 'message');
  console.log(`  ${name}, ${how}: ${mib} MiB${failed > 0 ? `, ${failed} FAILED` : ''}`);
}

/** In a process of its own, since the most it ever held is counted from its start. */
async function crowd(how, url) {
  const client = new PaySam({ apiKey, baseUrl: url });
  const pay = how === 'client' ? () => client.payments.create(params) : () => plain(url);
  const ends = await Promise.allSettled(Array.from({ length: 1_000 }, pay));
  const failed = ends.filter(({ status }) => status === 'rejected').length;
  process.send({ mib: Math.round(process.resourceUsage().maxRSS / 1024), failed });
  process.disconnect();
}

/** Pays at once, or, under /slow, after a while: then a thousand callers really wait at the same time. */
function serve() {
  const server = createServer((request, response) => {
    const key = request.headers['idempotency-key']?.replaceAll('"', '');
    request.resume().on('end', () => {
      const body = JSON.stringify({
        object: 'payment',
        status: 'succeeded',
        ...params,
        idempotency_key: key,
      });
      response.setHeader('content-type', 'application/json');
      if (request.url?.startsWith('/slow')) setTimeout(() => response.end(body), 200);
      else response.end(body);
    });
  });
  server.listen(0, '127.0.0.1', () => process.send({ url: `http://127.0.0.1:${server.address().port}` }));
  process.on('disconnect', () => process.exit());
}

/** The quick start, with a database and ports of its own. */
async function startApi(dataDir) {
  const [port, bankPort] = [await freePort(), await freePort()];
  const unlimited = { REQUESTS_PER_SECOND_MAX: '1000000', IN_FLIGHT_PER_CUSTOMER_MAX: '100000' };
  const child = spawn(process.execPath, [join(self, '../../dist/start/main.js')], {
    env: { ...process.env, DATA_DIR: dataDir, PORT: port, BANK_PORT: bankPort, ...unlimited },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const url = `http://127.0.0.1:${port}`;
  const exited = once(child, 'exit');
  for (let tries = 0; ; tries += 1) {
    const ready = await fetch(`${url}/health/ready`).catch(() => null);
    if (ready?.ok) break;
    if (tries > 300 || child.exitCode !== null) throw new Error('the API did not start');
    await new Promise(resolve => setTimeout(resolve, 200));
  }
  return { url, exited, stop: () => child.kill('SIGTERM') };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return String(port);
}

function median(numbers) {
  return numbers.sort((one, other) => one - other)[Math.floor(numbers.length / 2)];
}

function inMicroseconds(ms) {
  return `${Math.round(ms * 1_000)} µs`;
}
