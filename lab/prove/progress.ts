import { isatty } from 'node:tty';
import { colours, say } from '../../start/screen.js';

/**
 * Where an act has got to: on a terminal one line that is rewritten every second; in a pipe, or where others speak as
 * well, a plain line whenever something new begins.
 */
export class Progress {
  readonly said: string[] = [];
  private readonly began = performance.now();
  private readonly ticking: NodeJS.Timeout | undefined;
  private readonly isRewritten: boolean;
  private latest = '';

  constructor(
    private readonly name: string,
    isAlone: boolean,
  ) {
    this.isRewritten = isAlone && isatty(process.stdout.fd);
    if (!this.isRewritten) return;
    this.ticking = setInterval(() => {
      this.rewrite();
    }, 1_000);
    this.ticking.unref();
  }

  readonly say = (line: string): void => {
    this.latest = line;
    this.said.push(`${this.seconds} s  ${line}`);
    if (this.isRewritten) this.rewrite();
    else say(`  ${this.name}  ${this.seconds} s  ${line}`);
  };

  /** @param isWell whether this line is good news */
  end(isWell: boolean, line: string): void {
    clearInterval(this.ticking);
    const mark = isWell ? colours.green('✓') : colours.red('✗');
    if (this.isRewritten) process.stdout.write(clearLine);
    say(`${mark} ${this.name}  ${colours.dim(`${this.seconds} s`)}  ${line}`);
  }

  private get seconds(): number {
    return Math.round((performance.now() - this.began) / 1_000);
  }

  private rewrite(): void {
    const columns = process.stdout.columns || 80;
    const line = `  ${this.name}  ${this.seconds} s  ${this.latest}`.slice(0, columns - 1);
    process.stdout.write(clearLine + colours.dim(line));
  }
}

const clearLine = '\r\x1b[2K';
