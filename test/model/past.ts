import { hash } from 'node:crypto';
import { Life, type Errand, type Input, type View } from './life.js';

/**
 * All that ever happened to one life. Code that gets the same answers in the same order does the same, so this is its
 * whole state: two lives with one past are one, and a life can be brought to any point of it again.
 */
export interface Past {
  readonly id: string;
  readonly errand: Errand;
  readonly before: Past | null;
  /** Answers that came at once. */
  readonly inputs: readonly Input[];
  readonly view: View;
}

/** How many lives are kept waiting where somebody may go on with them. */
const livesKeptMax = 3_000;

/**
 * Knows what a life does next, from what has happened to it. The engine's own code is asked, once for every past; a
 * search that comes to the same point on another way is told from memory.
 */
export class Pasts {
  private readonly known = new Map<string, Past>();
  private readonly lives = new Map<Past, Life>();

  constructor(private readonly isRemembering: boolean) {}

  /** How many different points lives have come to. */
  get count(): number {
    return this.known.size;
  }

  async begin(errand: Errand): Promise<Past> {
    const id = JSON.stringify(errand);
    return (
      this.known.get(id) ?? this.keep({ id, errand, before: null, inputs: [] }, await Life.begin(errand))
    );
  }

  async after(before: Past, inputs: readonly Input[]): Promise<Past> {
    const id = this.isRemembering ? hash('sha1', before.id + JSON.stringify(inputs), 'base64') : '';
    const known = this.known.get(id);
    if (known) return known;
    const life = this.lives.get(before) ?? (await relive(before));
    this.lives.delete(before);
    await life.take(inputs);
    return this.keep({ id, errand: before.errand, before: this.isRemembering ? before : null, inputs }, life);
  }

  private keep(what: Omit<Past, 'view'>, life: Life): Past {
    const past: Past = { ...what, view: life.view };
    if (!past.view.isOver) this.lives.set(past, life);
    if (this.isRemembering) {
      this.known.set(past.id, past);
      const [oldest] = this.lives.keys();
      if (oldest && this.lives.size > livesKeptMax) this.lives.delete(oldest);
    }
    return past;
  }
}

async function relive(past: Past): Promise<Life> {
  const steps: Past[] = [];
  for (let each: Past | null = past; each; each = each.before) steps.unshift(each);
  const life = await Life.begin(past.errand);
  for (const { inputs } of steps.slice(1)) await life.take(inputs);
  return life;
}
