import { createServer } from 'node:net';
import { once } from 'node:events';
import { ownPort } from './support/own-port.js';

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
});
