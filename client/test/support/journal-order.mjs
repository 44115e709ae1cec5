// Tells in which order one entry is opened and closed, as the file system sees it: only a power cut would show, and
// that is not to be had. Each line is a call that has come back.
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';
import { FileJournal } from '../../dist/src/journal/file-journal.js';

const [directory] = process.argv.slice(2);
const say = (...words) => console.log(words.join(' '));
const nameOf = path => {
  if (path === directory) return 'directory';
  if (directory.startsWith(path)) return 'parent';
  return basename(path).endsWith('.tmp') ? 'temporary' : 'entry';
};

for (const name of ['link', 'unlink']) {
  const original = fs[name];
  fs[name] = async (...paths) => {
    await original(...paths);
    say(name, ...paths.map(nameOf));
  };
}
const open = fs.open;
fs.open = async (path, ...rest) => {
  const handle = await open(path, ...rest);
  const sync = handle.sync.bind(handle);
  handle.sync = async () => {
    await sync();
    say('sync', nameOf(path));
  };
  return handle;
};
syncBuiltinESMExports();

const journal = FileJournal.at(directory);
await journal.open({
  key: 'one',
  operation: 'payment',
  path: '/payments',
  body: '{}',
  sender: 'http://127.0.0.1#0',
  writtenAt: new Date().toISOString(),
});
say('opened');
await journal.close('one');
say('closed');
