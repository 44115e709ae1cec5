import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parts } from './engine-parts.js';

/** What became of the mutants of a folder or a file. One that ends in a time-out was noticed: it no longer ends. */
export interface Score {
  readonly mutants: number;
  readonly killed: number;
  readonly timedOut: number;
  readonly survived: number;
  /** Mutants that no test reaches. They count as if they had survived. */
  readonly notReached: number;
  /** Killed and timed out, in percent of all. */
  readonly score: number;
}

/** Of a file, and when that was measured. */
export interface FileScore extends Score {
  readonly at: string;
}

export interface FolderScore extends Score {
  /** Files that are not part of these figures: the run did not come that far. */
  readonly notMeasured: readonly string[];
  readonly files: Readonly<Record<string, FileScore>>;
}

/** By folder. */
export type EngineScores = Readonly<Record<string, FolderScore>>;

/** What a folder is to reach, in percent. */
export const goal = 85;

const scoresFile = 'lab/mutations/engine-scores.json';

/** As far as it is read, of Stryker's report. `Ignored` are those that the configuration leaves out. */
export interface Report {
  readonly files: Readonly<Record<string, { readonly mutants: readonly { readonly status: string }[] }>>;
}

/** By file; of files in which nothing can be turned around, nothing. */
export function scoresOf({ files }: Report): Record<string, FileScore> {
  const at = new Date().toISOString();
  const scores = Object.entries(files).map(([file, { mutants }]) => {
    const count = (wanted: string) => mutants.filter(({ status }) => status === wanted).length;
    const [killed, timedOut] = [count('Killed'), count('Timeout')];
    const [survived, notReached] = [count('Survived'), count('NoCoverage')];
    return [file, { at, ...withScore({ killed, timedOut, survived, notReached }) }] as const;
  });
  return Object.fromEntries(scores.filter(([, { mutants }]) => mutants > 0));
}

/** @returns `null`: nothing was ever measured */
export function readScores(): EngineScores | null {
  return existsSync(scoresFile) ? (JSON.parse(readFileSync(scoresFile, 'utf8')) as EngineScores) : null;
}

/** Of the other files, what was known before is still there. @returns what is known of the folder now */
export function record(folder: string, measured: Readonly<Record<string, FileScore>>): FolderScore {
  const known = readScores() ?? {};
  const files = Object.fromEntries(
    Object.entries({ ...known[folder]?.files, ...measured }).sort(([one], [other]) =>
      one.localeCompare(other),
    ),
  );
  const sum = (name: keyof Counts) => Object.values(files).reduce((all, each) => all + each[name], 0);
  const score: FolderScore = {
    ...withScore({
      killed: sum('killed'),
      timedOut: sum('timedOut'),
      survived: sum('survived'),
      notReached: sum('notReached'),
    }),
    notMeasured: filesOf(folder).filter(file => !(file in files)),
    files,
  };
  writeFileSync(scoresFile, JSON.stringify({ ...known, [folder]: score }, null, 2) + '\n');
  return score;
}

/** Those that are named one by one. */
function filesOf(folder: string): string[] {
  const names = parts.filter(part => part.folder === folder).flatMap(({ files }) => files);
  return names.filter(name => name !== '*').map(name => `src/${folder}/${name}.ts`);
}

type Counts = Pick<Score, 'killed' | 'timedOut' | 'survived' | 'notReached'>;

function withScore(counts: Counts): Score {
  const { killed, notReached, survived, timedOut } = counts;
  const mutants = killed + timedOut + survived + notReached;
  const score = mutants === 0 ? 100 : Math.floor((1_000 * (killed + timedOut)) / mutants) / 10;
  return { mutants, ...counts, score };
}
