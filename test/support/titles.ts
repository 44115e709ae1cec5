import { readFileSync } from 'node:fs';

/** What stands in quotation marks behind `it(`, `test(`, `describe(`, or an `each`. */
export function titlesIn(file: string): string[] {
  const source = readFileSync(file, 'utf8');
  const calls = /(?:\b(?:it|test|describe)|\))\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1\s*,/g;
  return [...source.matchAll(calls)].map(([, , title = '']) => title.replace(/\\(.)/g, '$1'));
}
