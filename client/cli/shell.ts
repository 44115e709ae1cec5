/** Commands for the reader to copy, in the words of the reader's shell: PowerShell on Windows, else sh. */
const isPowerShell = process.platform === 'win32';

/**
 * How this program was called: through npx where it is in no PATH. `--no`: where it is not installed either, npx would
 * fetch whatever has this name in the registry, and hand it the API key.
 */
const program = process.env.npm_command === 'exec' ? ['npx', '--no', 'paysam'] : ['paysam'];

export function paysamCommand(...words: string[]): string {
  return [...program, ...words.map(quoted)].join(' ');
}

/** A key may hold what a shell has a use for. */
function quoted(text: string): string {
  // PowerShell has more uses for more characters.
  if ((isPowerShell ? /^[\w./:-]+$/ : /^[\w./:@%=+-]+$/).test(text)) return text;
  return isPowerShell ? `'${text.replaceAll("'", "''")}'` : `'${text.replaceAll("'", `'\\''`)}'`;
}
