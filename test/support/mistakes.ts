/**
 * Loaded into a real process by api-process.ts, with `node --import`: a mistake of the kind that nobody expects, made when
 * the test says so. SIGUSR2 and MISTAKE=throws: an error out of a timer, which no caller is there to catch;
 * MISTAKE=rejects: a promise that is rejected and that nobody waits for.
 *
 * Node strips the types by itself, so this file imports only what Node brings.
 */
const mistake = new Error('a mistake that nobody caught');

process.on('SIGUSR2', () => {
  setTimeout(() => {
    if (process.env.MISTAKE === 'rejects') void Promise.reject(mistake);
    else throw mistake;
  }, 1);
});
