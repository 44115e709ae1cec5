import type { Outcome, ToldProblem } from './command.js';
import { printable, type Screen } from './screen.js';

/** How to go on with a key whose outcome is open, in commands to copy. */
export interface WaysOn {
  readonly key: string;
  readonly commands: readonly (readonly [does: string, command: string])[];
}

/** Why it did not come to a good end: title, details, the page, the request's id. */
export function printProblem(screen: Screen, problem: ToldProblem, isDebugging: boolean): void {
  const { title, details, page, requestId, error } = problem;
  screen.line(`${screen.styled('red', '✗')} ${screen.styled('bold', printable(title))}`);
  for (const detail of details.filter(each => each !== '')) screen.line(`  ${printable(detail)}`);
  if (page) screen.line(`  ${printable(page)}`);
  if (requestId) screen.line(`  request ${printable(requestId)}`);
  if (isDebugging)
    for (const line of stackOf(error)) screen.line(screen.styled('dim', `  ${printable(line)}`));
}

/** The lesson of exit code 5: keep the key. */
export function printWaysOn(screen: Screen, { key, commands }: WaysOn): void {
  screen.line(
    screen.styled(
      'yellow',
      'It may be carried out, or have been. To pay again with another key may be to pay twice.',
    ),
  );
  screen.line(`  key  ${printable(key)}`);
  for (const [does, command] of commands) screen.line(`  ${screen.styled('dim', `# ${does}`)}\n  ${command}`);
}

export function linesOf({ json, lines }: Outcome, isJson: boolean): string[] {
  // Of JSON, every control character is escaped already.
  return isJson ? [JSON.stringify(json)] : lines.map(printable);
}

/** With its causes. None of them holds the API key: the library sees to that. */
function stackOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const { stack = String(error), cause } = error;
  return [
    ...stack.split('\n'),
    ...stackOf(cause).map((line, index) => (index === 0 ? `because of ${line}` : line)),
  ];
}
