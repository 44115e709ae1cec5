// A shop that pays its orders, and is killed again and again while it does. See ten-thousand.spec.ts.
//
// The question is what a caller must keep, so that no order is ever paid with two keys. The journal alone is not enough:
// it closes an entry once the *client* knows the outcome, and a crash before the *shop* has booked it leaves an order
// that looks unpaid, and no entry. So there are two ways, and this shop knows both.
//
// The recommended one, `keepsKeys`: the order's row holds the key, made with the row, before anybody thought of sending
// anything. Whoever knows the order knows its key, and may always send it again: at worst the answer is a replay.
//
// Without a place for it, the client makes the keys. Then the order is found again by its reference: `resume()` first,
// which ends whatever was under way, so that nothing can arrive late; then a look at what the server has. Only what
// neither of them knows has never been sent, and may be paid with a new key. Skip either step, and orders are paid twice.
import { appendFileSync, existsSync, readFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { NotSent, OutcomeUnknown, PaySam, Unanswered } from '../../dist/src/client.js';
import { FileJournal } from '../../dist/src/journal/file-journal.js';

const options = JSON.parse(process.argv[2]);
const { baseUrl, apiKey, ordersFile, paidFile, journalDirectory, lanes, keepsKeys } = options;
const client = new PaySam({
  apiKey,
  baseUrl,
  journal: FileJournal.at(journalDirectory),
  // Through a bank it would be 15 s. Our own books answer in milliseconds, and this network is often silent.
  attemptTimeoutMs: 300,
});

const say = what => writeSync(1, `${what}\n`);
const orders = JSON.parse(readFileSync(ordersFile, 'utf8'));
const paid = new Set(existsSync(paidFile) ? readFileSync(paidFile, 'utf8').split('\n').map(Number) : []);
const told = { retried: 0, replayed: 0, notSent: 0, unknown: 0, resumed: 0, lookedUp: 0 };

/** The shop's own books: from here on the order is paid for everybody. */
function book({ status, amount, reference }) {
  const id = Number(reference.slice('order-'.length));
  if (status !== 'succeeded' || amount !== id) throw new Error(`order ${id} is ${status}, ${amount}`);
  if (paid.has(id)) return false;
  appendFileSync(paidFile, `${id}\n`);
  paid.add(id);
  say(`paid ${id}`);
  return true;
}

/** Until nothing is unfinished: what stays unknown this time is sent again the next time. */
async function resume() {
  for (;;) {
    const { resumed, skipped, unreadable } = await client.resume({ concurrency: lanes });
    if (skipped.length + unreadable.length > 0) throw new Error(JSON.stringify({ skipped, unreadable }));
    if (resumed.length === 0) return;
    for (const { result, error } of resumed) {
      if (result) told.resumed += book(result.data) ? 1 : 0;
      else if (!(error instanceof OutcomeUnknown)) throw error;
    }
  }
}

async function lookUp() {
  for (;;) {
    try {
      for await (const payment of client.payments.list({ limit: 100 }))
        told.lookedUp += book(payment) ? 1 : 0;
      return;
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
    }
  }
}

async function pay({ id, amount, key }) {
  const payment = { to: 'sam', amount, currency: 'GBP', reference: `order-${id}` };
  for (;;) {
    try {
      const { data, attempts, replayed } = await client.payments.create(
        payment,
        keepsKeys ? { idempotencyKey: key } : {},
      );
      told.retried += attempts > 1 ? 1 : 0;
      told.replayed += replayed ? 1 : 0;
      book(data);
      return;
    } catch (error) {
      if (error instanceof OutcomeUnknown) {
        // In the journal, and for resume() to end. Never a new key.
        told.unknown += 1;
        return;
      }
      if (!(error instanceof NotSent)) throw error;
      // Nothing was done, so it may be paid again at once. But who could not connect a moment ago had better wait.
      told.notSent += 1;
      await sleep(100);
    }
  }
}

say('resuming');
await resume();
if (!keepsKeys) await lookUp();
say('paying');
const left = orders.filter(({ id }) => !paid.has(id));
await Promise.all(
  Array.from({ length: lanes }, async () => {
    for (let order = left.shift(); order; order = left.shift()) await pay(order);
  }),
);
await resume();
say(`done ${JSON.stringify(told)}`);
process.exit(0);
