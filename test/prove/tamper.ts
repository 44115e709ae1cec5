import type { MadeUpRun } from './made-up-run.js';

/** One thing in one witness that is not as it was. */
export interface Tampering {
  /** Without the numbers: `database.payments.status changed`. */
  readonly name: string;
  /** With them. */
  readonly place: string;
  readonly apply: (run: MadeUpRun) => void;
}

type Path = (string | number)[];
type Node = Record<string | number, unknown>;

/** Other values that the field could well have had: a mistake is seldom a word that does not exist. */
const words: readonly (readonly [field: string, values: readonly unknown[]])[] = [
  ['kind', ['ok', 'fail', 'unknown']],
  ['kind', ['charge', 'return']],
  ['kind', ['customer', 'bank']],
  ['status', ['succeeded', 'pending', 'declined', 'cancelled']],
  ['status', [200, 202, 402, 409, 500, 503]],
  ['state', ['pending', 'posted', 'voided']],
  ['state', ['in_progress', 'completed', 'cancelled', 'parked']],
  ['recoveryPoint', ['started', 'funds_reserved', 'transfer_sent', 'finished', 'cancelled']],
  ['change', ['INSERT', 'UPDATE', 'DELETE']],
  ['rail', ['ledger', 'bank']],
  ['asked', ['pay', 'put', 'refund', 'cancel', 'look']],
  ['method', ['PUT', 'GET']],
];

/**
 * Every way to tamper with one value or one line of a run: each value changed, each line left out, each line there
 * twice. What the harness itself measured is no witness, and is left alone.
 */
export function* everyTampering(run: MadeUpRun): Generator<Tampering> {
  for (const witness of ['log', 'bank', 'database'] as const) yield* within(run[witness] as Node, [witness]);
}

function* within(node: Node, path: Path): Generator<Tampering> {
  for (const name of Array.isArray(node) ? node.keys() : Object.keys(node)) {
    const [value, at] = [node[name], [...path, name]];
    if (typeof name === 'number' && path.length <= 2) {
      yield tampering('left out', at, list => list.splice(name, 1));
      yield tampering('doubled', at, list => list.splice(name, 0, structuredClone(list[name])));
    }
    if (typeof value === 'object' && value !== null) yield* within(value as Node, at);
    else for (const changed of changes(String(name), value)) yield change(at, changed);
  }
}

function* changes(name: string, value: unknown): Generator {
  const [, vocabulary] = words.find(([field, values]) => field === name && values.includes(value)) ?? [];
  if (vocabulary) yield* vocabulary.filter(other => other !== value);
  else if (typeof value === 'number') yield value + 1;
  else if (typeof value === 'string') yield value === 'true' ? 'false' : `${value}?`;
  // An object that is missing cannot be made up in one stroke.
  if (value === null && name !== 'reply' && name !== 'params') yield '200 nobody';
}

function change(at: Path, changed: unknown): Tampering {
  const last = at.at(-1) ?? '';
  return {
    name: `${nameOf(at)} changed`,
    place: `${at.join('.')} to ${String(changed)}`,
    apply: run => {
      (reach(run, at.slice(0, -1)) as Node)[last] = changed;
    },
  };
}

function tampering(what: string, at: Path, apply: (list: unknown[]) => unknown): Tampering {
  return {
    name: `${nameOf(at)} ${what}`,
    place: at.join('.'),
    apply: run => void apply(reach(run, at.slice(0, -1)) as unknown[]),
  };
}

function reach(run: MadeUpRun, path: Path): unknown {
  return path.reduce<unknown>((node, name) => (node as Node)[name], run);
}

function nameOf(path: Path): string {
  return path.filter(name => typeof name === 'string').join('.');
}
