import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** Stands between a client and the API, and takes its time: what is on its way there can be watched, and killed. */
export async function startSlowProxy(apiPort: number) {
  const sockets = new Set<Socket>();
  const proxy = {
    url: '',
    requestDelayMs: 0,
    answerDelayMs: 0,
    /** Pieces of requests: what has come from clients, and what of it has been passed on. */
    received: 0,
    passed: 0,
    /** Pieces of answers that clients got. */
    delivered: 0,
    stop: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  const server = createServer({ noDelay: true }, client => {
    const api = connect(apiPort, '127.0.0.1');
    for (const socket of [client, api]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    client.on('data', chunk => {
      proxy.received += 1;
      later(proxy.requestDelayMs, () => {
        proxy.passed += 1;
        api.write(chunk);
      });
    });
    // A client that dies does not take back what it has sent.
    client.on('close', () => {
      later(proxy.requestDelayMs, () => api.end());
    });
    api.on('data', chunk => {
      later(proxy.answerDelayMs, () => {
        proxy.delivered += 1;
        client.write(chunk);
      });
    });
    api.on('close', () => {
      later(proxy.answerDelayMs, () => client.end());
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
}

/** What is on its way when the test is over need not arrive. */
function later(ms: number, act: () => void): void {
  setTimeout(act, ms).unref();
}
