import { pbkdf2 } from 'node:crypto';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  SmallBank,
  again,
  clientFor,
  first,
  freePort,
  late,
  order,
  patient,
  silent,
  startTcp,
  watchBank,
} from './small-bank.js';

/** `not_sent` lets a payment be cancelled: it must never be said of a request that could have reached the bank. */
describe('not sent is a promise', () => {
  const host = '127.0.0.1';

  it('is given when nobody listens, when there is no such host, and when TLS fails', async () => {
    const plain = await startTcp(socket => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\n')));
    for (const url of [
      `http://${host}:${await freePort()}`,
      'http://bank.invalid',
      `https://${host}:${plain.port}`,
    ]) {
      const { events, stop } = watchBank();
      const client = clientFor(url, { bankRequestsMax: 3 });
      const answer = await client.pay(order, first);
      stop();
      expect(answer).toMatchObject({
        kind: 'not_sent',
        reason: expect.stringContaining('could not connect') as string,
      });
      expect(events.map(event => 'kind' in event && event.kind)).toEqual(Array(3).fill('not_sent'));
      // What an earlier call may have sent is as unknown as it was: this one has sent nothing.
      expect((await client.pay(order, again)).kind).toBe('not_sent');
      await client.close();
    }
    plain.stop();
  });

  it('is given when connecting takes too long: by undici, and by our own time-out', async () => {
    // It takes the connection and then says nothing: the handshake never ends.
    const mute = await startTcp(() => undefined);
    for (const times of [
      { bankConnectTimeoutMs: 200, bankRequestTimeoutMs: 5_000 },
      { bankConnectTimeoutMs: 5_000, bankRequestTimeoutMs: 200 },
    ]) {
      const client = clientFor(`https://${host}:${mute.port}`, {
        ...times,
        bankTimeoutMs: 8_000,
        bankRequestsMax: 1,
      });
      expect((await client.pay(order, first)).kind).toBe('not_sent');
      await client.close();
    }
    mute.stop();
  });

  it('is not given to a request of which the bank may have read a byte', async () => {
    let bytes = 0;
    const talks = [
      // It reads, and resets. Whatever it read, the call must not say that it sent nothing.
      (socket: Socket) => socket.once('data', () => socket.resetAndDestroy()),
      (socket: Socket) => socket.once('data', () => socket.destroy()),
      // It resets at once: often before a byte was written, often just after.
      (socket: Socket) => socket.resetAndDestroy(),
      (socket: Socket) => setImmediate(() => socket.resetAndDestroy()),
    ];
    for (const [index, talk] of talks.entries()) {
      const rude = await startTcp(socket => {
        socket.on('data', data => (bytes += data.length));
        talk(socket);
      });
      const client = clientFor(rude.url, { bankRequestsMax: 1 });
      for (let round = 0; round < 19; round += 1) {
        bytes = 0;
        const { kind } = await client.pay(order, first);
        await sleep(2);
        if (index < 2 || bytes > 0) expect(kind).toBe('unknown');
        else expect(['unknown', 'not_sent']).toContain(kind);
      }
      await client.close();
      rude.stop();
    }
  });

  it('is kept by a request that was given up while it connected: it is not sent when the connection comes', async () => {
    const bank = await SmallBank.start();
    const client = clientFor(bank.url.replace(host, 'localhost'), { bankConnectTimeoutMs: 5_000 });
    // Names are looked up by the threads that are busy with this, so connecting has to wait for it.
    const busy = Promise.all(
      Array.from({ length: 8 }, () => promisify(pbkdf2)('', '', 200_000, 64, 'sha512')),
    );
    expect(await client.pay(order, { ...first, signal: AbortSignal.timeout(20) })).toEqual({
      kind: 'not_sent',
      reason: 'its caller gave up',
    });
    expect(bank.connectionsSeen).toBe(0);
    await busy;
    for (let tries = 0; bank.connectionsSeen === 0 && tries < 100; tries += 1) await sleep(20);
    expect(bank.connectionsSeen).toBe(1);
    await sleep(100);
    expect(bank.requests).toEqual([]);
    expect((await client.pay(order, first)).kind).toBe('done');
    expect(bank.requests).toEqual(['PUT pay_1']);
    await client.close();
    bank.stop();
  });

  it('is kept by requests that were given up while they waited for their turn', async () => {
    const bank = await SmallBank.start();
    bank.usual = late(1_000);
    const client = clientFor(bank.url, {
      bankRequestsAtOnceMax: 1,
      bankRequestTimeoutMs: 5_000,
      bankTimeoutMs: 9_000,
    });
    let isBusy = true;
    const busy = client.pay(order, first).finally(() => (isBusy = false));
    const caller = new AbortController();
    const waiting = [2, 3, 4].map(n =>
      client.pay({ ...order, reference: `pay_${n}` }, { ...first, signal: caller.signal }),
    );
    await sleep(50);
    caller.abort();
    expect(await Promise.all(waiting)).toEqual(
      Array(3).fill({ kind: 'not_sent', reason: 'its caller gave up' }),
    );
    expect(isBusy).toBe(true);
    expect((await busy).kind).toBe('done');
    await sleep(300);
    expect(bank.requests).toEqual(['PUT pay_1']);
    // And the turn was not lost with them.
    expect((await client.pay({ ...order, reference: 'pay_5' }, first)).kind).toBe('done');
    await client.close();
    bank.stop();
  });

  it('is given at once when too many wait already', async () => {
    const bank = await SmallBank.start();
    bank.usual = late(100);
    const client = clientFor(bank.url, { bankRequestsAtOnceMax: 2, bankWaitingMax: 3 });
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, n) => client.pay({ ...order, reference: `pay_${n}` }, first)),
    );
    expect(answers.map(({ kind }) => kind)).toEqual([
      ...Array<string>(5).fill('done'),
      ...Array<string>(3).fill('not_sent'),
    ]);
    expect(bank.charges).toBe(5);
    await client.close();
    bank.stop();
  });

  it('counts the wait for a turn against the call', async () => {
    const bank = await SmallBank.start();
    bank.usual = silent;
    const client = clientFor(bank.url, {
      bankRequestsAtOnceMax: 1,
      bankTimeoutMs: 250,
      bankRequestTimeoutMs: 2_000,
    });
    const began = Date.now();
    const [sent, waited] = await Promise.all([
      client.pay(order, first),
      client.pay({ ...order, reference: 'pay_2' }, first),
    ]);
    expect(Date.now() - began).toBeLessThan(1_900);
    expect(sent.kind).toBe('unknown');
    expect(waited).toEqual({ kind: 'not_sent', reason: 'the 250 ms of this call are over' });
    expect(bank.requests).toEqual(['PUT pay_1']);
    await client.close();
    bank.stop();
  });

  it('never lets a connection that the bank has closed meanwhile lead to a second charge', async () => {
    const bank = await SmallBank.start();
    // The bank closes each connection a moment after its answer, just as the next request may be on its way.
    bank.usual = (response, process) => {
      const { status, body } = process();
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      const { socket } = response;
      setTimeout(() => socket?.destroy(), 1);
    };
    const client = clientFor(bank.url, { bankRequestsAtOnceMax: 1 });
    for (let n = 0; n < 100; n += 1) {
      const reference = `pay_${n}`;
      let answer = await client.pay({ ...order, reference }, { ...first, signal: patient });
      // However many connections a call loses this way: what it says is true, and the next one asks.
      while (answer.kind === 'unknown') answer = await client.pay({ ...order, reference }, again);
      expect(answer.kind).toBe('done');
      // What is sent twice was asked for in between.
      const said = bank.requests.filter(request => request.endsWith(` ${reference}`)).join();
      expect(said).not.toContain(`PUT ${reference},PUT ${reference}`);
      if (n % 3 === 0) await sleep(1);
    }
    expect(bank.charges).toBe(100);
    await client.close();
    bank.stop();
  });
});
