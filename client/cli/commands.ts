import type { Catalogue } from './arguments.js';
import { balance } from './commands/balance.js';
import { cancel } from './commands/cancel.js';
import { hammer } from './commands/hammer.js';
import { pay } from './commands/pay.js';
import { payments } from './commands/payments.js';
import { refund } from './commands/refund.js';
import { resume } from './commands/resume.js';
import { status } from './commands/status.js';
import { wait } from './commands/wait.js';

/** In the order in which they are met. */
export const catalogue: Catalogue = {
  commands: [pay, status, wait, resume, cancel, refund, balance, payments, hammer],
  flags: {
    url: { value: 'URL', does: 'the service, instead of PAYSAM_URL' },
    json: { does: 'one JSON object on stdout, for errors as well; amounts in minor units' },
    follow: { does: 'with --json: one event a line as it happens, the object last' },
    quiet: { does: 'nothing about attempts and waits' },
    attempts: { value: 'N', does: 'how often a request is sent at most; 4 unless given' },
    timeout: { value: 'SECONDS', does: 'how long one attempt may take; 15 unless given' },
    deadline: { value: 'SECONDS', does: 'how long all of it may take; 60 unless given' },
    jitter: { value: 'KIND', does: 'how waits are drawn: full (default), equal, decorrelated, none' },
    'no-journal': { does: 'write no key down: whatever ends this process then takes the key with it' },
    debug: { does: 'show where an error comes from' },
    help: { does: 'this page' },
    version: { does: 'the version' },
  },
};
