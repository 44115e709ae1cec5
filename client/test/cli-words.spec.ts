import { readArguments } from '../cli/arguments.js';
import { catalogue } from '../cli/commands.js';
import { overview, page } from '../cli/help.js';
import { nearest } from '../cli/nearest.js';
import { printable } from '../cli/screen.js';
import { readSurroundings } from '../cli/surroundings.js';
import { UsageError } from '../cli/usage-error.js';

describe('the command line', () => {
  it('takes flags wherever they stand', () => {
    const lines = [
      'pay sam 100.00 GBP --key k --json',
      '--json --key k pay sam 100.00 GBP',
      'pay --key=k sam --json 100.00 GBP',
    ];
    for (const line of lines) {
      const request = read(line);
      if (request.kind !== 'run') throw new Error(request.kind);
      expect(request.args.command.name).toBe('pay');
      expect(request.args.words).toEqual(['sam', '100.00', 'GBP']);
      expect([request.args.text('key'), request.args.has('json')]).toEqual(['k', true]);
    }
  });

  it('takes a key that begins with a dash, after --', () => {
    const request = read('status -- --json');
    expect(request.kind === 'run' && request.args.words).toEqual(['--json']);
  });

  it.each([
    ['pya sam 1 GBP', 'There is no command “pya”.', 'Did you mean: paysam pay?'],
    ['payment', 'There is no command “payment”.', 'Did you mean: paysam payments?'],
    ['frobnicate', 'There is no command “frobnicate”.', 'paysam help lists all of them.'],
    ['help pya', 'There is no command “pya”.', 'Did you mean: paysam pay?'],
    ['pay sam 1 GBP --form x', 'There is no flag --form.', 'Did you mean --from?'],
    ['pay sam 1 GBP --atempts 2', 'There is no flag --atempts.', 'Did you mean --attempts?'],
    ['pay sam 1 GBP --constructor', 'There is no flag --constructor.', 'paysam help lists all of them.'],
    ['pay sam 1 GBP --limit 2', '“pay” takes no --limit.', 'It belongs to: payments.'],
    [
      'pay sam 1 GBP extra',
      '“extra” is one word too many for “pay”.',
      'For example: paysam pay sam 100.00 GBP',
    ],
    ['pay sam', '“pay” also needs AMOUNT and CURRENCY.', 'For example: paysam pay sam 100.00 GBP'],
    ['refund id 10', '“refund” also needs CURRENCY.', 'For example'],
    ['pay sam 1 GBP --key', '--key needs a value.', '--key KEY'],
    ['pay sam 1 GBP --key=', '--key needs a value.', '--key KEY'],
    ['pay sam 1 GBP --from --key k', '--from needs a value, and “--key” looks like a flag.', '--from=--key'],
    ['pay sam 1 GBP --json=yes', '--json takes no value.', 'Leave “yes” out.'],
    ['pay sam 1 GBP --key a --key b', '--key is there twice.', 'Which of them counts?'],
    ['pay sam -1 GBP', 'An amount has no sign.', 'Money goes from payer to payee.'],
    ['--json', 'There is no command.', 'pay, status'],
    [
      'pay sam 1 GBP --api-key sk',
      'There is no --api-key: the shell would write your API key into its history, and ps would show it.',
      'Set PAYSAM_API_KEY in the environment.',
    ],
  ])('“%s” is refused with the nearest thing that would do', (line, message, hint) => {
    const said = refusal(() => read(line));
    expect(said.message).toBe(message);
    expect(said.hint).toContain(hint);
  });

  it('has a page for each command, which begins with examples that it takes itself', () => {
    for (const command of catalogue.commands) {
      expect(page(command, catalogue)).toMatch(/^Examples:\n {2}# .+\n {2}paysam /);
      for (const { types } of command.examples) {
        const request = read(types.replace('paysam ', ''));
        expect(request.kind === 'run' && request.args.command).toBe(command);
      }
      expect(overview(catalogue)).toContain(`  ${command.name} `);
    }
    expect(overview(catalogue)).toContain('Exit codes:');
  });

  it('names what was meant, and nothing where nothing comes near', () => {
    expect(nearest('waitt', ['wait', 'pay'])).toBe('wait');
    expect(nearest('stauts', ['status', 'wait'])).toBe('status');
    expect(nearest('xyz', ['pay', 'wait'])).toBeNull();
  });
});

describe('the environment', () => {
  const demo = 'PAYSAM_API_KEY is not set: using the demo’s public one, sk_demo_alice.';

  it('may be empty where the service is on this machine: the demo’s public key, and a word about it', () => {
    for (const url of [undefined, 'http://localhost:4000', 'http://127.1.2.3', 'http://[::1]:3000']) {
      const { apiKey, warnings } = readSurroundings({ PAYSAM_API_KEY: '' }, url);
      expect([apiKey, warnings]).toEqual(['sk_demo_alice', [demo]]);
    }
  });

  it.each(['https://pay.example.com', 'http://127.0.0.1.example.com', 'http://localhost.example.com'])(
    'has to name an API key for %s',
    url => {
      expect(refusal(() => readSurroundings({}, url)).message).toContain('PAYSAM_API_KEY is not set');
    },
  );

  it('is told where an API key would travel in the open', () => {
    const set = { PAYSAM_API_KEY: 'sk_live' };
    expect(readSurroundings(set, 'http://pay.example.com').warnings[0]).toContain('plain http');
    expect(readSurroundings(set, 'https://pay.example.com').warnings).toEqual([]);
  });

  it('never shows the API key that it refuses', () => {
    const { message, hint } = refusal(() => readSurroundings({ PAYSAM_API_KEY: 'sk live' }, undefined));
    expect(`${message}${String(hint)}`).not.toContain('sk live');
  });

  it.each(['pay.example.com', 'ftp://x', 'http://user:secret@x', 'http://x?y=1', ''])(
    'takes no “%s” for an address',
    url => {
      expect(refusal(() => readSurroundings({ PAYSAM_API_KEY: 'k' }, url)).message).toContain(
        'not the address',
      );
    },
  );

  it('says where keys are written down', () => {
    const at = (set: NodeJS.ProcessEnv) => readSurroundings(set, undefined).journalDirectory;
    expect(at({ PAYSAM_HOME: '/p', XDG_STATE_HOME: '/x' })).toBe('/p/journal');
    if (process.platform === 'win32') return;
    expect(at({ XDG_STATE_HOME: '/x' })).toBe('/x/paysam/journal');
    expect(at({ XDG_STATE_HOME: 'relative' })).toMatch(/\/\.local\/state\/paysam\/journal$/);
  });
});

it('what others have written cannot move the cursor', () => {
  expect(printable('\x1b[2K\rPaid\u202e\u009b1m')).toBe('\\u001b[2K\\u000dPaid\\u202e\\u009b1m');
  expect(printable('Grüße, £5 → 日本')).toBe('Grüße, £5 → 日本');
});

function read(line: string) {
  return readArguments(line.split(' '), catalogue);
}

function refusal(act: () => unknown): { message: string; hint: string | null } {
  try {
    act();
  } catch (error) {
    if (error instanceof UsageError) return { message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error('it was taken');
}
