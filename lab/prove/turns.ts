/** So many do something at once; the others wait in line, and come in the order in which they asked. */
export class Turns {
  private readonly line: (() => void)[] = [];

  constructor(private free: number) {}

  async take<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.free > 0) this.free -= 1;
    else {
      await new Promise<void>(resolve => {
        this.line.push(resolve);
      });
    }
    try {
      return await work();
    } finally {
      const next = this.line.shift();
      // Handed on, and never free in between.
      if (next) next();
      else this.free += 1;
    }
  }
}
