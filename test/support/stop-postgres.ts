/** After the last suite: stops what start-postgres.ts started, and nothing else. */
export default async function stopPostgres(): Promise<void> {
  await globalThis.stopTestServer?.();
}
