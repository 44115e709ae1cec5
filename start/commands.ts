import { join, relative } from 'node:path';

/** Commands for the reader's other terminal, in the words of its shell: PowerShell on Windows, else sh. */
const isPowerShell = process.platform === 'win32';

/** The file is read when the command runs, so the same line works after every restart. */
export function killCommand(dataDir: string): string {
  const file = quoted(join(relative('.', dataDir) || '.', 'api.pid'));
  return isPowerShell ? `Stop-Process -Force -Id (Get-Content ${file})` : `kill -9 $(cat ${file})`;
}

export function recoverCommand(environment: Record<string, string>): string {
  const set = Object.entries(environment).map(([name, value]) =>
    isPowerShell ? `$env:${name}=${quoted(value)};` : `${name}=${quoted(value)}`,
  );
  return [...set, 'npm run recover -- --once'].join(' ');
}

function quoted(text: string): string {
  if (!isPowerShell && /^[\w./:@%=-]+$/.test(text)) return text;
  return isPowerShell ? `'${text.replaceAll("'", "''")}'` : `'${text.replaceAll("'", `'\\''`)}'`;
}
