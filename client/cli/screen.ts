import { styleText } from 'node:util';

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow';

/** What is read from a terminal or written to one; only what is used here, so that a test can hand in its own. */
export interface Terminal {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/**
 * Where people read: stderr. Lines for good, and on a terminal one line at the bottom that is drawn over again.
 * Data never comes here, and nothing but data goes to stdout.
 */
export class Screen {
  readonly isTerminal: boolean;
  private readonly hasColour: boolean;
  private isDrawn = false;

  constructor(
    private readonly terminal: Terminal,
    environment: NodeJS.ProcessEnv,
  ) {
    this.isTerminal = terminal.isTTY === true && environment.TERM !== 'dumb';
    this.hasColour = wantsColour(environment) ?? this.isTerminal;
  }

  /** Whatever it is, it is said in the words as well: colour is for those who see it. */
  styled(style: Style | readonly Style[], text: string): string {
    // Whether is decided above. Older Nodes do not ask the stream, and newer ones would ask stdout.
    return this.hasColour ? styleText(style as Style[], text, { validateStream: false }) : text;
  }

  line(text: string): void {
    this.clear();
    this.terminal.write(`${text}\n`);
  }

  /** Replaces what was drawn before. In a pipe nothing can be replaced, so nothing is drawn. */
  draw(text: string): void {
    if (!this.isTerminal) return;
    // A line that the terminal breaks in two is more than `clear` would clear. Some do not know their width, or say 0.
    const fitting = text.slice(0, (this.terminal.columns || 80) - 1);
    this.terminal.write(`${this.isDrawn ? clearLine : ''}${this.styled('dim', fitting)}`);
    this.isDrawn = true;
  }

  /** Before anything else is written, by whoever: what was drawn does not end in a line break. */
  clear(): void {
    if (this.isDrawn) this.terminal.write(clearLine);
    this.isDrawn = false;
  }
}

const clearLine = '\r\x1b[2K';

/** FORCE_COLOR first, as in Node itself; then https://no-color.org. Null: nobody has said. */
function wantsColour({ FORCE_COLOR, NO_COLOR }: NodeJS.ProcessEnv): boolean | null {
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return NO_COLOR === undefined || NO_COLOR === '' ? null : false;
}

/**
 * What others have written, fit for a terminal: a reference, or a proxy's page, could otherwise move the cursor, and
 * write its own "Paid".
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, character => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u${code.toString(16).padStart(4, '0')}`;
  });
}
