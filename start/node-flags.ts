/**
 * How Node runs the API. A request that waits for the database outlives a small young generation: it is copied,
 * promoted, and swept up late. With 32 MiB per half nearly all of them die young, which saves a tenth of the CPU
 * and a third of the memory. Not below 16 MiB: with the old generation bounded, V8 shrinks the young one after each
 * sweep, which sends more to the old one, which is then swept again, up to four times a second. The old generation
 * needs 60 MiB; four times that is room, not a goal.
 */
export const apiNodeFlags = [
  '--max-semi-space-size=32',
  '--min-semi-space-size=16',
  '--max-old-space-size=256',
];

/**
 * How Node runs the workers on their own (`npm run recover`). What lives in them is 25 MiB, but left alone V8 gives
 * their young generation 128 MiB within minutes, all of which it then wanders through.
 */
export const workerNodeFlags = ['--max-semi-space-size=8', '--min-semi-space-size=8'];
