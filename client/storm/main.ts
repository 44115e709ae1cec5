import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { draw } from './chart.js';
import { outages, type OutageName } from './outages.js';
import { findOut, putInto, toText } from './report.js';
import { settingFor } from './simulate.js';

const usage = `What retries do to a server in trouble: simulated, in seconds, the same again for the same seed.

  npm run storm                                       all outages, all policies; docs/retries.md explains the figures
  npm run storm -- --outage slow-down                 one outage: ${Object.keys(outages).join(', ')}
  npm run storm -- --seed 7 --clients 200             other luck, fewer clients (the server shrinks with them)
  npm run storm -- --json | jq '.storms[0].figures'   everything found, as one object
  npm run storm -- --svg docs/storm.svg               draws the picture
  npm run storm -- --markdown docs/retries.md         puts the tables into a page, between its marks
  npm run storm -- --help                             this`;

class Usage extends Error {}

try {
  main();
} catch (error) {
  const isUsage =
    error instanceof Usage || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS');
  process.stderr.write(isUsage ? `${(error as Error).message}\n\n${usage}\n` : `${String(error)}\n`);
  process.exitCode = isUsage ? 2 : 1;
}

function main(): void {
  const options = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      clients: { type: 'string', default: '1000' },
      outage: { type: 'string' },
      json: { type: 'boolean', default: false },
      svg: { type: 'string' },
      markdown: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  }).values;
  if (options.help) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const { outage, svg, markdown } = options;
  if (outage !== undefined && !isOutage(outage)) {
    throw new Usage(`There is no outage "${outage}". There are: ${Object.keys(outages).join(', ')}.`);
  }
  if (outage !== undefined && markdown !== undefined) {
    throw new Usage('--markdown needs all outages: leave --outage out.');
  }
  const setting = settingFor(wholeNumber('clients', options.clients), wholeNumber('seed', options.seed));

  const findings = findOut(setting, outage);
  process.stdout.write(`${options.json ? JSON.stringify(findings, null, 2) : toText(findings)}\n`);
  if (markdown !== undefined) writeFileSync(markdown, putInto(readFileSync(markdown, 'utf8'), findings));
  if (svg !== undefined) writeFileSync(svg, draw(setting));
}

function isOutage(name: string): name is OutageName {
  return Object.hasOwn(outages, name);
}

function wholeNumber(option: string, text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number > 0) return number;
  throw new Usage(`--${option} is "${text}". Give it a whole number above 0.`);
}
