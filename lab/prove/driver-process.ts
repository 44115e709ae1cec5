import { Driver, type DriverOptions } from './driver.js';
import type { DriverReport } from './load.js';

/*
 * A driver's process: `node driver-process.js '<options as JSON>'`. SIGTERM stops it from beginning anything new; a
 * second one, or the end of its parent, makes it give up.
 */
const driver = new Driver(JSON.parse(process.argv[2] ?? '{}') as DriverOptions);
process.once('SIGTERM', () => {
  driver.stop();
  process.once('SIGTERM', () => {
    driver.giveUp();
  });
});
process.once('disconnect', () => {
  driver.giveUp();
});
const operations = await driver.run();
console.log(JSON.stringify({ operations, calls: driver.calls } satisfies DriverReport));
if (process.connected) process.disconnect();
