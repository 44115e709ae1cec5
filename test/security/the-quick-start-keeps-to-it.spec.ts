import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedPostgres } from '../../start/embedded-postgres.js';
import { findBinaries } from '../../start/postgres-binaries.js';
import { deleteHome, findHome, makeHome, type PostgresHome } from '../../start/postgres-home.js';
import { migrate } from '../../src/migrate.js';
import { connect } from '../support/database.js';

describe('the quick start runs the API with the rights it needs, and no others (S39)', () => {
  let folder: string;
  let home: PostgresHome;
  let postgres: EmbeddedPostgres;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pay-sam-quick-'));
    // As root, the server runs as another user, who has to get through.
    chmodSync(folder, 0o711);
    home = findHome(folder);
    makeHome(home);
    postgres = new EmbeddedPostgres(home, findBinaries(home));
    await postgres.start(AbortSignal.timeout(60_000));
    await migrate(postgres.url);
  }, 90_000);
  afterAll(async () => {
    await postgres.stop();
    deleteHome(home);
    rmSync(folder, { recursive: true });
  });

  async function userOf(url: string): Promise<unknown> {
    const { sql, end } = await connect(url);
    const [row] = await sql(
      "SELECT current_user AS name, rolsuper AS super, has_table_privilege('payments', 'DELETE') AS may_delete FROM pg_roles WHERE rolname = current_user",
    );
    await end();
    return row;
  }

  it('as a role of its own, with a password that only this user can read', async () => {
    const url = await postgres.urlForApi();
    expect(await userOf(url)).toEqual({ name: 'pay_sam_api', super: false, may_delete: false });
    expect(statSync(home.apiPasswordFile).mode & 0o777).toBe(0o600);
    const [ofOwner, ofApi] = [home.passwordFile, home.apiPasswordFile].map(file =>
      readFileSync(file, 'utf8'),
    );
    expect(ofApi).toMatch(/^[0-9a-f]{48}$/);
    expect(ofApi).not.toBe(ofOwner);
    await expect(userOf(url.replace(ofApi ?? '', 'guess'))).rejects.toThrow(/password/);
  });

  it('the same password at every start, and a new one where the file was lost or never there', async () => {
    const first = await postgres.urlForApi();
    expect(await postgres.urlForApi()).toBe(first);
    rmSync(home.apiPasswordFile);
    const second = await postgres.urlForApi();
    expect(second).not.toBe(first);
    expect(await userOf(second)).toMatchObject({ name: 'pay_sam_api' });
    await expect(userOf(first)).rejects.toThrow(/password/);
  });

  it('as with Docker, where a command of its own lets the role in', async () => {
    const password = "o'brien; 100%";
    const admit = spawnSync(process.execPath, ['dist/start/admit-api.js'], {
      env: { ...process.env, DATABASE_URL: postgres.url, API_DATABASE_PASSWORD: password },
      encoding: 'utf8',
    });
    expect([admit.status, admit.stdout.trim(), admit.stderr]).toEqual([0, 'The API may log in.', '']);
    const url = Object.assign(new URL(postgres.url), {
      username: 'pay_sam_api',
      password: encodeURIComponent(password),
    });
    expect(await userOf(url.href)).toMatchObject({ name: 'pay_sam_api' });
  });
});
