import { startBank, type RunningBank } from './server.js';
import { readSettings } from './settings.js';

/** Whoever hangs in a call does not keep the bank from stopping: it drops them, closes its books, and is gone. */
function stopWhenTold(bank: RunningBank): void {
  const stop = () => {
    bank.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, stop);
  // Started by a parent that is gone, perhaps since before this line: nobody is left to stop this process.
  if (process.connected) process.once('disconnect', stop);
  else if (process.send) stop();
}

function explain(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const remedies: Record<string, string> = {
    EADDRINUSE: 'Something else listens on that port: stop it, or set BANK_PORT to another one.',
    EADDRNOTAVAIL: 'This machine has no such address: correct BANK_HOST.',
    ENOTFOUND: 'There is no such host: correct BANK_HOST.',
    EACCES: 'This port is reserved: set BANK_PORT to one above 1023.',
  };
  return [message, remedies[code]].filter(Boolean).join('. ');
}

try {
  const bank = await startBank(readSettings(process.env));
  stopWhenTold(bank);
  console.log(`The bank listens on ${bank.url}`);
} catch (error) {
  console.error(`The bank could not start. ${explain(error)}`);
  process.exit(1);
}
