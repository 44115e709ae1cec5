/** Runs the specs in the order in which they are named, quickest first: most mutants end there. Jest begins with the longest. */
export default class InOrder {
  sort(tests) {
    const specs = process.env.MUTANTS_MEET.split(',');
    const placeOf = ({ path }) => specs.findIndex(spec => path.includes(`/${spec}`));
    return [...tests].sort((one, other) => placeOf(one) - placeOf(other));
  }

  /** Nothing is remembered from one mutant to the next. */
  cacheResults() {}
}
