import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';

/**
 * Stands between a client and the API, and hangs up after so many bytes of an answer: a mobile network, a
 * load balancer that dies.
 */
export async function startAnswerCutter(apiPort: number) {
  const cutter = {
    url: '',
    /** Of the next answer; what comes after is lost. */
    bytesPassedMax: Infinity,
    /** One request at a time, or this is the sum of several answers. */
    bytesPassed: 0,
    cuts: 0,
    stop: () => {
      server.close();
    },
  };
  const server = createServer({ noDelay: true }, client => {
    const api = connect(apiPort, '127.0.0.1');
    client.on('data', chunk => {
      // A request: what comes back from here on is its answer.
      cutter.bytesPassed = 0;
      api.write(chunk);
    });
    api.on('data', (chunk: Buffer) => {
      const part = chunk.subarray(0, cutter.bytesPassedMax - cutter.bytesPassed);
      cutter.bytesPassed += part.length;
      client.write(part);
      if (part.length < chunk.length) {
        cutter.cuts += 1;
        client.end();
        api.destroy();
      }
    });
    api.on('error', () => undefined).on('close', () => client.end());
    client.on('error', () => undefined).on('close', () => api.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cutter.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return cutter;
}
