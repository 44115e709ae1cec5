import { writeFile } from 'node:fs/promises';
import { problems } from '../dist/src/http/problems.js';

/**
 * Writes src/problem-codes.ts from the API's own catalogue, so that the client knows the codes without depending on
 * the API. After `npx nest build`: node client/generate-problem-codes.mjs
 */
const entries = Object.entries(problems).map(([code, { status, retryable, title, remedy }]) => {
  const text = JSON.stringify;
  return `  ${code}: {
    status: ${status},
    retryable: ${retryable},
    title: ${quoted(title)},
    remedy: ${quoted(remedy)},
  },`;
  function quoted(words) {
    return words.includes("'") ? text(words) : `'${text(words).slice(1, -1).replaceAll('\\"', '"')}'`;
  }
});

const source = `/**
 * The API's problems, as much of each as a caller acts on. Generated from the API's own catalogue by
 * generate-problem-codes.mjs: change it there, in src/http/problems.ts.
 */
export const problems = {
${entries.join('\n')}
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof problems;

export interface ProblemKind {
  readonly status: number;
  readonly retryable: boolean;
  readonly title: string;
  readonly remedy: string;
}
`;
await writeFile(new URL('src/problem-codes.ts', import.meta.url), source);
