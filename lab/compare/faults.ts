import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultName } from './fault-name.js';
import { times, type Stage } from './stage.js';
import type { Fault, Trial } from './trial.js';

/** All are brought about from outside, by processes, locks, networks and the bank: no design carries a hook for it. */
export const faults: Record<FaultName, Fault> = {
  repeat: {
    title: 'repeat after the answer',
    how: 'The same request twice, one after the other.',
    rail: 'ledger',
    run: async ({ a }, trial) => {
      await trial.end(a);
    },
  },
  'two-at-once': {
    title: 'two at once',
    how: 'Two equal requests while somebody else holds the account, so that neither can end before the other has begun.',
    rail: 'ledger',
    run: (stage, trial) => atOnce(stage, trial, 2),
  },
  'hundred-at-once': {
    title: 'a hundred at once',
    how: 'The same with a hundred.',
    rail: 'ledger',
    run: (stage, trial) => atOnce(stage, trial, 100),
  },
  'other-amount': {
    title: 'same key, other amount',
    how: 'After the answer, the same key with another amount. It has to be refused.',
    rail: 'ledger',
    run: async ({ a }, trial) => {
      await trial.end(a);
      await trial.intrude(a);
    },
  },
  'answer-lost': {
    title: 'answer lost',
    how: 'The connection is cut when the answer is on its way, after COMMIT. The caller asks again.',
    rail: 'ledger',
    run: async ({ a }, trial) => {
      a.front.cutNextAnswer();
      await trial.attempt(a);
      see(a.front.hasCut, 'no answer was lost');
      await trial.end(a);
    },
  },
  'killed-before-record': {
    title: 'killed between payment and record',
    how: 'What the design keeps its answers in is locked until the payment is committed. Then SIGKILL, restart, retry.',
    rail: 'ledger',
    run: async (stage, trial) => {
      const account = await stage.lockAccount(trial.payer);
      const attempt = trial.attempt(stage.a);
      see(await stage.untilWaiting(), 'nobody waited for the account');
      const records = await stage.holdRecords();
      await account.release();
      await stage.untilTrue(700, async () => (await trial.paid(stage)) > 0);
      await stage.a.kill();
      await stage.dropWaiting();
      await records.release();
      await attempt;
      await stage.a.restart();
      await trial.end(stage.a);
    },
  },
  'killed-during-call': {
    title: 'killed during the bank call',
    how: 'The bank holds the request before it is carried out. SIGKILL; the bank carries it out. Restart, retry.',
    rail: 'bank',
    run: (stage, trial) => killedAtBank(stage, trial, 'before'),
  },
  'killed-after-charge': {
    title: 'killed after the charge',
    how: 'The bank has charged, and holds its answer: nothing is committed after the charge. SIGKILL, restart, retry.',
    rail: 'bank',
    run: (stage, trial) => killedAtBank(stage, trial, 'after'),
  },
  'bank-times-out': {
    title: 'bank charges, does not answer',
    how: 'The bank charges and does not answer, nor does it answer the first two questions about it. The caller retries.',
    rail: 'bank',
    run: async ({ a, bank }, trial) => {
      await bank.fallSilent(trial.payee);
      await trial.end(a);
    },
  },
  zombie: {
    title: 'frozen past the lease',
    how: 'The bank has answered; the next thing that the instance writes is held by the network, and SIGSTOP stops it. A second instance gets the retry. When the lease is long over: SIGCONT, and the network lets go.',
    rail: 'bank',
    run: async (stage, trial) => {
      const { a } = stage;
      const b = await stage.b();
      const barrier = await stage.bank.raiseBarrier('after', trial.payee);
      const attempt = trial.attempt(a);
      see(await barrier.reached(), 'the bank was never asked');
      a.back.hold();
      await barrier.remove();
      // Time for the bank's answer to be read; what follows from it goes no further than the gate.
      await sleep(150);
      see(
        await stage.untilTrue(2_000, () => Promise.resolve(a.back.isHoldingSomething)),
        'nothing was about to be written',
      );
      a.freeze();
      await sleep(times.leaseMs + 300);
      await trial.end(b, 1_500);
      a.wake();
      a.back.letGo();
      await attempt;
      await sleep(300);
      await trial.end(b);
    },
  },
  restart: {
    title: 'process restarted',
    how: 'After the answer: SIGKILL, restart, and the same request again.',
    rail: 'ledger',
    run: async ({ a }, trial) => {
      await trial.end(a);
      await a.restart();
      await trial.end(a);
    },
  },
  'two-instances': {
    title: 'two instances',
    how: 'One request at each of two instances at once, the account held; then each is asked again.',
    rail: 'ledger',
    run: async (stage, trial) => {
      const b = await stage.b();
      const account = await stage.lockAccount(trial.payer);
      const ends = [trial.end(stage.a), trial.end(b)];
      see(await stage.untilWaiting(), 'nobody waited for the account');
      await sleep(200);
      await account.release();
      await Promise.all(ends);
      await trial.end(b);
    },
  },
  'key-expired': {
    title: 'key expired, late retry',
    how: 'Answers are kept for a second. After a second and a half, the same request again.',
    rail: 'ledger',
    run: async ({ a }, trial) => {
      await a.restart(shortMemory);
      await trial.end(a);
      await sleep(times.answerRetentionMs + 500);
    },
  },
  'bank-forgot': {
    title: 'the same, and the bank forgot',
    how: 'As before, through the bank, which has forgotten its reference by then.',
    rail: 'bank',
    run: async ({ a, bank }, trial) => {
      await a.restart(shortMemory);
      await trial.end(a);
      await sleep(times.answerRetentionMs + 500);
      await bank.forget(trial.payee);
      await trial.end(a);
    },
  },
};

const shortMemory = { ANSWER_RETENTION_MS: String(times.answerRetentionMs) };

/** Everybody has begun before anybody can end. */
async function atOnce(stage: Stage, trial: Trial, n: number): Promise<void> {
  const account = await stage.lockAccount(trial.payer);
  const ends = Array.from({ length: n }, () => trial.end(stage.a));
  see(await stage.untilWaiting(), 'nobody waited for the account');
  await sleep(200);
  await account.release();
  await Promise.all(ends);
}

async function killedAtBank(stage: Stage, trial: Trial, at: 'before' | 'after'): Promise<void> {
  const barrier = await stage.bank.raiseBarrier(at, trial.payee);
  const attempt = trial.attempt(stage.a);
  see(await barrier.reached(), 'the bank was never asked');
  await stage.a.kill();
  await barrier.remove();
  await attempt;
  await stage.a.restart();
  await trial.end(stage.a);
}

/** A fault that did not happen proves nothing, and is no result. */
function see(hasHappened: boolean, otherwise: string): void {
  if (!hasHappened) throw new Error(`The fault was not brought about: ${otherwise}.`);
}
