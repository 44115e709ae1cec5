import { readFileSync } from 'node:fs';
import { apiNodeFlags, workerNodeFlags } from '../start/node-flags.js';

/** Neither a Dockerfile nor a script of npm can import: both repeat the flags, and this holds them to it. */
describe('Node is run with the same flags', () => {
  it('in the image, for the API', () => {
    const command = /^CMD (\[.*main\.js"\])$/gm;
    const commands = [...readFileSync('Dockerfile', 'utf8').matchAll(command)].map(([, each = '']) => each);
    expect(commands.map(each => JSON.parse(each) as unknown)).toContainEqual([
      'node',
      ...apiNodeFlags,
      'dist/src/main.js',
    ]);
  });

  it('by npm run recover, for the workers', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: { recover: string } };
    expect(scripts.recover.split(' && ')[1]?.split(' ')).toEqual([
      'node',
      ...workerNodeFlags,
      'dist/src/worker.js',
    ]);
  });
});
