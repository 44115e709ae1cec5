import rateLimit from '@fastify/rate-limit';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Settings } from '../settings.js';
import { EventLoopDelay } from './event-loop-delay.js';
import { Problem } from './problem.js';
import { send } from './problem.filter.js';
import { RequestWindows } from './request-windows.js';
import { Traffic } from './traffic.js';

/** To restart a process because it is busy makes the others busier; and now is when its figures are wanted. */
const alwaysAnswered = ['/health/live', '/metrics'];

/** The door that closes when it is too much: for everybody when the process is late, for a customer at its limits. */
export async function protect(app: NestFastifyApplication, settings: Settings): Promise<void> {
  const server = app.getHttpAdapter().getInstance();
  const delay = new EventLoopDelay();
  server.addHook('onClose', (_server, done) => {
    delay.stop();
    done();
  });
  server.addHook('onRequest', ({ url }, reply, done) => {
    if (delay.ms <= settings.eventLoopDelayMaxMs || alwaysAnswered.includes(url)) {
      done();
      return;
    }
    const problem = new Problem('overloaded', 'This process is too busy to take on more.', {
      headers: { 'retry-after': '1' },
    });
    send(reply, problem, settings);
  });
  await server.register(rateLimit, { global: false, store: RequestWindows });
  app.get(Traffic).begin(server);
}
