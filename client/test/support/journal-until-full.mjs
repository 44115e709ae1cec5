// Opens entries until the journal will keep no more, and tells what became of them. Run by an unprivileged user, or on
// a disk that is nearly full; root may write anywhere, so it becomes nobody first where it is asked to.
import { readdirSync } from 'node:fs';
import { FileJournal } from '../../dist/src/journal/file-journal.js';

const [directory, as] = process.argv.slice(2);
if (as === 'nobody' && process.getuid() === 0) process.seteuid(65_534);
// A limit on the size of files would kill us; so it is an error, like a full disk.
process.on('SIGXFSZ', () => undefined);

const journal = FileJournal.at(directory);
const entry = number => ({
  key: `number-${number}`,
  operation: 'payment',
  path: '/payments',
  body: JSON.stringify({ reference: 'x'.repeat(4_000) }),
  sender: 'http://127.0.0.1#0',
  writtenAt: new Date().toISOString(),
});

let opened = 0;
let refusal;
while (!refusal && opened < 1_000) {
  try {
    await journal.open(entry(opened));
    opened += 1;
  } catch (error) {
    refusal = { name: error.name, message: error.message, code: error.cause?.code };
  }
}
const found = (await journal.unfinished()).map(({ key }) => key);
const files = readdirSync(directory).length;
// Room again: the journal goes on where it stood.
let goesOn = false;
if (opened > 0) {
  await journal.close('number-0');
  goesOn = await journal.open(entry(1_000)).catch(() => false);
}
console.log(
  JSON.stringify({ opened, refusal, found, files, unreadable: await journal.unreadable(), goesOn }),
);
