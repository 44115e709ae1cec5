// A process that opens and closes entries until it is killed, and says so on stdout as it goes: what it said is what
// its journal must know afterwards. Synchronous writes: a word that was said is out, however suddenly the end comes.
import { writeSync } from 'node:fs';
import { FileJournal } from '../../dist/src/journal/file-journal.js';

const [directory, name, lanes] = process.argv.slice(2);
const journal = FileJournal.at(directory);
const say = (what, key) => writeSync(1, `${what} ${key}\n`);

async function write(lane) {
  for (let number = 0; ; number += 1) {
    const key = `${name}-${lane}-${number}`;
    await journal.open({
      key,
      operation: 'payment',
      path: '/payments',
      // Of many blocks, so that there is something to be caught in the middle of.
      body: JSON.stringify({ to: 'sam', amount: number + 1, currency: 'GBP', reference: key.repeat(2_000) }),
      sender: 'http://127.0.0.1#0123456789abcdef0123456789abcdef',
      writtenAt: new Date().toISOString(),
    });
    say('opened', key);
    if (number % 3 === 2) continue;
    say('closing', key);
    await journal.close(key);
    say('closed', key);
  }
}

await Promise.all(Array.from({ length: Number(lanes) }, (_, lane) => write(lane)));
