import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What each wrong turn is in the lab to show: the fault that breaks it, and what comes of it. */
const shown = [
  ['naive', 'answer-lost', 'doubled'],
  ['check-then-insert', 'two-at-once', 'doubled'],
  ['answer-after-handler', 'killed-before-record', 'stuck'],
  ['key-in-cache', 'key-expired', 'doubled'],
  ['bank-in-transaction', 'killed-after-charge', 'doubled'],
  ['timeout-is-failure', 'bank-times-out', 'wrong'],
  ['lease-without-epoch', 'zombie', 'doubled'],
  ['new-key-per-attempt', 'answer-lost', 'doubled'],
] as const;

const harmless = { doubled: 0, lost: 0, stuck: 0, wrong: 0 };

interface Compared {
  designs: { name: string; verdicts: Record<string, Record<string, number>> }[];
}

/** The command itself, with real processes, a real database and the other bank; without the speed. */
describe('the comparison', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pay-sam-compare-'));
  let compared: Compared;
  let end: { code: number; output: string };

  const verdict = (design: string, fault: string) =>
    compared.designs.find(({ name }) => name === design)?.verdicts[fault];

  beforeAll(async () => {
    const faults = new Set(shown.map(([, fault]) => fault));
    const only = [
      ...[...faults].map(fault => `ours/${fault}`),
      ...shown.map(([design, fault]) => `${design}/${fault}`),
    ];
    const json = join(folder, 'compared.json');
    end = await runCompare('--only', only.join(','), '--json', json);
    if (end.code !== 0) throw new Error(end.output);
    compared = JSON.parse(readFileSync(json, 'utf8')) as Compared;
  }, 120_000);
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it.each(shown)('%s breaks at %s: %s', (design, fault, harm) => {
    expect(verdict(design, fault)?.[harm]).toBeGreaterThan(0);
  });

  it.each([...new Set(shown.map(([, fault]) => fault))])('ours stands %s', fault => {
    expect(verdict('ours', fault)).toEqual(harmless);
  });

  it('has nothing more to tell of than was asked for', () => {
    expect(compared.designs.map(({ name }) => name)).toEqual(['ours', ...shown.map(([name]) => name)]);
  });

  it('explains itself, and refuses what it cannot understand', async () => {
    const help = await runCompare('--help');
    expect(help).toMatchObject({ code: 0 });
    for (const [design, fault] of shown) {
      expect(help.output).toContain(design);
      expect(help.output).toContain(fault);
    }
    expect(await runCompare('--rounds', 'none')).toMatchObject({ code: 1 });
    expect((await runCompare('--nonsense')).output).toContain('--only WORDS');
  });
});

async function runCompare(...args: string[]): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, ['dist/lab/compare/main.js', ...args], {
    env: { ...process.env, DATABASE_URL: process.env.TEST_SERVER_URL },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, output };
}
