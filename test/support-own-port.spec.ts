import { createServer } from 'node:net';
import { once } from 'node:events';
import { keptPort, ownPort, portsOfAct } from './support/own-port.js';

describe('a port of one act', () => {
  it('is its own, is not given twice in a row, and is never one that somebody has', async () => {
    const from = 30_000;
    const first = await ownPort(from);
    const server = createServer().listen(first + 1, '127.0.0.1');
    await once(server, 'listening');
    const second = await ownPort(from);
    server.close();
    expect(first).toBeGreaterThanOrEqual(from);
    expect(second).toBeGreaterThan(first + 1);
    expect(second).toBeLessThan(from + 1_000);
  });

  it('is nobody else’s while its owner is away and will be back there', async () => {
    const from = 31_000;
    const kept = await keptPort(from);
    const others: number[] = [];
    // Once around, and further.
    for (let drawn = 0; drawn < portsOfAct + 5; drawn += 1) others.push(await ownPort(from));
    expect(others).not.toContain(kept);
  });
});
