import type { Difference, RunDone } from './events.js';
import type { Parked } from './parked.js';

/** What one worker did, for a person to read: one line. Its differences have lines of their own. */
export function runToLine(run: RunDone): string {
  return `${run.worker.padEnd('reconciler'.length)}  ${inWords(run)}`;
}

function inWords(run: RunDone): string {
  switch (run.worker) {
    case 'reaper':
      return `deleted ${count(run.reaped, 'expired answer')}`;
    case 'reconciler':
      return [
        `copied ${count(run.copied, 'booking')}`,
        `compared ${count(run.payments, 'payment')}`,
        `found ${count(run.differencesFound, 'difference')}`,
      ].join(', ');
    case 'completer':
      return countsOf(run)
        .map(([name, n]) => `${n} ${name.replace(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`)}`)
        .join(', ');
  }
}

/** Whether a run changed anything, besides what it found; what it merely looked at does not count. */
export function didSomething(run: RunDone): boolean {
  const lookedAt = new Set(['payments', 'differencesFound']);
  return countsOf(run).some(([name, n]) => n > 0 && !lookedAt.has(name));
}

/** A run as JSON takes it: amounts are plain numbers, as everywhere in the API. */
export function runToJson(run: RunDone): object {
  const asNumber = (_key: string, value: unknown) => (typeof value === 'bigint' ? Number(value) : value);
  return { ...(JSON.parse(JSON.stringify(run, asNumber)) as object), worker: undefined };
}

/** One line for each difference, the same one whenever it is found again. */
export function differenceLines(run: RunDone): string[] {
  if (run.worker !== 'reconciler') return [];
  const unlisted = run.differencesFound - run.differences.length;
  const lines = run.differences.map(differenceToLine);
  return unlisted > 0 ? [...lines, `  … and ${unlisted} more`] : lines;
}

function differenceToLine({ kind, reference, ours, theirs }: Difference): string {
  const here = ours ? `${ours.amount} ${ours.currency} ${ours.status}` : 'nothing';
  const there = theirs
    ? `${theirs.amount} ${theirs.currency} after ${count(theirs.charges, 'charge')} and ${count(theirs.returns, 'return')}`
    : 'nothing';
  return `  ${kind} ${printable(reference)}: here ${here}, at the bank ${there}`;
}

/** A payment that waits for a person, and why. */
export function parkedToLine({ paymentId, recoveryPoint, attempts, since, because }: Parked): string {
  return `${paymentId}  since ${since.toISOString()}, at ${recoveryPoint}, after ${count(attempts, 'attempt')}: ${because}`;
}

function countsOf(run: RunDone): [string, number][] {
  return Object.entries(run).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}

/** A reference is the bank's text: it may hold anything, also what moves a terminal's cursor. */
function printable(text: string): string {
  return /^[\x21-\x7e]+$/.test(text) ? text : JSON.stringify(text).replace(/[^\x20-\x7e]/g, '?');
}
