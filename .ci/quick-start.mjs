// Runs `npm start` on free ports, then the very commands it prints, and stops it with Ctrl-C.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const expected = [200, 200, 409, 402, 402, 200, 200];
const folder = mkdtempSync(join(tmpdir(), 'pay-sam-'));
const [port, bankPort] = [await freePort(), await freePort()];
const start = spawn('npm', ['start'], {
  detached: true,
  env: { ...process.env, PORT: String(port), BANK_PORT: String(bankPort), DATA_DIR: join(folder, 'data') },
  stdio: ['ignore', 'pipe', 'inherit'],
});

let printed = '';
start.stdout.on('data', text => {
  printed += text;
  process.stdout.write(text);
});
try {
  await until(() => printed.includes('Ready') || start.exitCode !== null);
  const commands = printed.split('\n').filter(line => line.trim().startsWith('echo '));
  const statuses = commands.map(command => {
    const answer = execFileSync('sh', ['-c', command], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return Number(answer.split(' ')[1]);
  });
  if (String(statuses) !== String(expected)) throw new Error(`answered ${statuses}, expected ${expected}`);
} finally {
  const ended = new Promise(resolve => start.once('exit', resolve));
  if (start.exitCode === null) process.kill(-start.pid, 'SIGINT');
  await ended;
  rmSync(folder, { recursive: true, force: true });
}
console.log(`The printed calls were answered ${expected.join(', ')}.`);

async function until(isTrue) {
  for (let tries = 0; !isTrue(); tries += 1) {
    if (tries > 600) throw new Error('npm start was not ready within 60 s');
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}

function freePort() {
  return new Promise(resolve => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = server.address();
      server.close(() => resolve(free));
    });
  });
}
