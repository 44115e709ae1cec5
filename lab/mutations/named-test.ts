import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NamedTest } from './mutation.js';

/** What Jest, or JavaScript, fills into a title. */
const placeholder = /%[a-z#%]|\$\{[^}]+\}/;

/** As an expression that finds the test by its full name, groups included. */
export function patternOf({ title, filledWith }: NamedTest): string {
  const filled = filledWith === undefined ? title : title.replace(placeholder, () => filledWith);
  return filled
    .split(new RegExp(placeholder, 'g'))
    .map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
}

/** Why there is no such test in the project's folder. */
export function whyNoTest(folder: string, { file, title }: NamedTest): string | undefined {
  const path = join(folder, file);
  if (!existsSync(path)) return `there is no ${file}`;
  return titlesIn(readFileSync(path, 'utf8')).includes(title) ? undefined : `${file} has no test “${title}”`;
}

/** What stands in quotation marks behind `it(`, `test(`, `describe(`, or an `each`. */
function titlesIn(source: string): string[] {
  const calls = /(?:\b(?:it|test|describe\w*)|\))\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1\s*,/g;
  return [...source.matchAll(calls)].map(([, , title = '']) => title.replace(/\\(.)/g, '$1'));
}
