import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { setUpBankScene } from '../promises/bank-scene.js';
import type { ApiProcess } from '../support/api-process.js';
import { call, together } from '../support/http.js';

const idleSockets = 10_000;

/** Linux tells how many descriptors a process has, and lets their limit be set while it runs. */
const [describeHere, because] =
  process.platform === 'linux'
    ? [describe, '']
    : [describe.skip, ', not tried here: only Linux tells and sets the limit'];

/** Each connection is a descriptor: of a caller, to the database, to the bank. Their number ends somewhere. */
describeHere(`descriptors run out${because}`, () => {
  const scene = setUpBankScene();
  const idle = new Set<Socket>();

  afterEach(() => {
    hangUp();
  });

  it('F84: 10,000 idle connections are held, what comes above the limit is refused, and those who wait in it are answered', async () => {
    const api = await scene.start();
    const before = await scene.metric(api, 'process_resident_memory_bytes');
    // Room for all of them, and fifty more.
    limitDescriptors(api, descriptorsOf(api) + idleSockets + 50);
    const held = await openIdle(api, idleSockets);
    expect(held).toBe(idleSockets);
    expect((await scene.metric(api, 'process_resident_memory_bytes')) - before).toBeLessThan(400 * 1024 ** 2);
    expect((await scene.pay(api, 'beside-the-idle', { rail: 'ledger' })).status).toBe(200);

    // The rest of the room, and then no more.
    const more = await openIdle(api, 100);
    expect(more).toBeLessThan(60);
    const [first] = idle;
    expect(first && (await liveOn(first))).toContain('200 OK');
    expect(api.stderr()).toBe('');

    hangUp();
    await untilFree(api);
    expect((await scene.pay(api, 'after-the-idle', { rail: 'ledger' })).status).toBe(200);
    expect(await api.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  }, 60_000);

  it('F103: with none left nobody is told that it failed, nothing is lost, and all is paid once there are some again', async () => {
    const api = await scene.start({ env: { WORKERS: 'elsewhere' } });
    // One connection that is known, and so keeps its place.
    const [known] = await openSockets(api, 1);
    if (!known) throw new Error('it was not let in');
    limitDescriptors(api, descriptorsOf(api) + 20);
    expect(await openIdle(api, 60)).toBeLessThan(40);

    // What is connected goes on; the bank cannot be reached, which is certain, and no decline.
    expect(await payOn(known, api, 'ledger-goes-on', 'ledger')).toMatch(/^HTTP.1.1 200 /);
    expect(await payOn(known, api, 'bank-is-out-of-reach', 'bank')).toMatch(/^HTTP.1.1 202 /);
    await scene.untilRow('bank-is-out-of-reach', row => !row.may_be_sent);
    // A process that only waits needs none either: what it does by a timer must not end it.
    await sleep(1_500);

    // Now the database's connections are gone as well, and their places taken.
    await scene.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pay-sam' AND datname = $1",
      [scene.database.name],
    );
    // As many as it takes: it closes them when it is told, which may be a moment later.
    await sleep(300);
    while ((await openIdle(api, 30)) > 0);
    const refused = await payOn(known, api, 'database-is-out-of-reach', 'ledger');
    expect(refused).toMatch(/^HTTP.1.1 503 /);
    expect(refused).toMatch(/^retry-after: 1$/im);
    expect(refused).toMatch(/^should-retry: true$/im);
    expect(await scene.row('database-is-out-of-reach')).toBeUndefined();

    for (const socket of idle) if (socket !== known) socket.destroy();
    await untilFree(api);
    for (const [key, rail] of [
      ['ledger-goes-on', 'ledger'],
      ['bank-is-out-of-reach', 'bank'],
      ['database-is-out-of-reach', 'ledger'],
    ] as const) {
      expect((await scene.payUntilAnswered(api, key, { rail })).status).toBe(200);
    }
    const { id } = await scene.paymentOf('bank-is-out-of-reach');
    expect(await scene.bank.charges(id)).toHaveLength(1);
    expect(await api.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  }, 60_000);

  async function payOn(socket: Socket, api: ApiProcess, key: string, rail: string): Promise<string> {
    const body = JSON.stringify({ to: 'sam', amount: 100, currency: 'GBP', rail });
    const lines = [
      'POST /payments HTTP/1.1',
      `Host: 127.0.0.1:${api.port}`,
      `Authorization: Bearer ${scene.alice.apiKey}`,
      `Idempotency-Key: "${key}"`,
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
    ];
    return say(socket, [...lines, '', body].join('\r\n'));
  }

  function limitDescriptors({ pid }: ApiProcess, most: number): void {
    const { status, stderr } = spawnSync('prlimit', ['--pid', String(pid), `--nofile=${most}`], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`prlimit failed: ${stderr}`);
  }

  function descriptorsOf({ pid }: ApiProcess): number {
    return readdirSync(`/proc/${pid}/fd`).length;
  }

  /** @returns how many of them were let in, and answered */
  async function openIdle(api: ApiProcess, n: number): Promise<number> {
    let held = 0;
    for (let opened = 0; opened < n; opened += 500) {
      held += (await openSockets(api, Math.min(500, n - opened))).length;
    }
    return held;
  }

  /** Connections on which one request was answered, and which are then kept open. */
  async function openSockets({ port }: ApiProcess, n: number): Promise<Socket[]> {
    const sockets = await together(n, async () => {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      idle.add(socket);
      return (await liveOn(socket)).includes('200 OK') ? socket : undefined;
    });
    return sockets.filter(socket => socket !== undefined);
  }

  const liveOn = (socket: Socket) => say(socket, 'GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n');

  /** @returns what comes back at once; nothing, if the other side hangs up */
  function say(socket: Socket, bytes: string): Promise<string> {
    return new Promise(resolve => {
      const tell = (chunk?: Buffer | boolean) => {
        socket.off('data', tell).off('close', tell);
        resolve(Buffer.isBuffer(chunk) ? chunk.toString() : '');
      };
      socket.on('data', tell).on('close', tell);
      socket.write(bytes);
    });
  }

  function hangUp(): void {
    for (const socket of idle) socket.destroy();
    idle.clear();
  }

  async function untilFree(api: ApiProcess): Promise<void> {
    for (let looks = 0; looks < 400; looks += 1) {
      const answer = await call(`${api.url}/health/live`).catch(() => undefined);
      if (answer?.status === 200 && descriptorsOf(api) < 100) return;
      await sleep(25);
    }
    throw new Error('its descriptors were never free again');
  }
});
