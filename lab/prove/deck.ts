import type { Random } from './random.js';

/**
 * Draws as from a shuffled deck of cards: each comes once before any comes again. Drawn one by one with luck alone, a
 * run of minutes would leave some out.
 */
export class Deck<Card> {
  private left: Card[] = [];

  constructor(
    private readonly random: Random,
    private readonly cards: readonly Card[],
  ) {}

  draw(): Card {
    if (this.left.length === 0) this.left = shuffled(this.random, this.cards);
    return this.left.pop() as Card;
  }
}

export function shuffled<Card>(random: Random, cards: readonly Card[]): Card[] {
  return cards
    .map(card => ({ card, place: random.next() }))
    .sort((one, other) => one.place - other.place)
    .map(({ card }) => card);
}
