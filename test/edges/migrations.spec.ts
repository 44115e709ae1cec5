import { DataSource } from 'typeorm';
import { bootApi } from '../support/api.js';
import { createDatabase, type Database } from '../support/database.js';
import { call } from '../support/http.js';
import { createDataSource } from '../../src/data-source.js';

describe('the schema', () => {
  let database: Database;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await createDatabase();
    dataSource = await createDataSource({ databaseUrl: database.url }).initialize();
  });
  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  /** Everything that a migration can make, in words. */
  async function inventory(): Promise<string[]> {
    const rows = await database.sql<{ line: string }>(`
      SELECT format('column %s.%s %s %s', table_name, column_name, data_type, is_nullable) AS line
      FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'migrations'
      UNION ALL
      SELECT format('constraint %s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint
      WHERE connamespace = 'public'::regnamespace AND conrelid <> coalesce(to_regclass('migrations'), 0)
      UNION ALL
      SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'migrations'
      UNION ALL
      SELECT format('function %s', proname) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
      UNION ALL
      SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
      ORDER BY line`);
    return rows.map(({ line }) => line);
  }

  it('knows no customer, no API key and no account until somebody puts them there (S44)', async () => {
    for (const table of ['customers', 'api_keys', 'accounts', 'payments', 'transfers', 'idempotency_keys']) {
      expect([table, await database.sql('SELECT * FROM ' + table)]).toEqual([table, []]);
    }
    const api = await bootApi(database.url);
    for (const apiKey of [
      'sk_demo_alice',
      'sk_demo_bob',
      'sk_demo_sam',
      'sk_demo_legacy',
      'sk_demo_readonly',
    ]) {
      expect((await call(`${api.url}/payments`, { apiKey })).status).toBe(401);
    }
    await api.stop();
  });

  it('has a column for each member of each entity, and an entity member for each column it reads', async () => {
    for (const { name, tableName, columns, target } of dataSource.entityMetadatas) {
      expect([name, await dataSource.manager.find(target)]).toEqual([name, []]);

      const rows = await database.sql<{ column_name: string; is_nullable: string }>(
        'SELECT column_name, is_nullable FROM information_schema.columns WHERE table_name = $1 ORDER BY column_name',
        [tableName],
      );
      const inDatabase = rows.map(row => `${name}.${row.column_name}${row.is_nullable === 'YES' ? '?' : ''}`);
      const inCode = columns.map(column => `${name}.${column.databaseName}${column.isNullable ? '?' : ''}`);
      expect(inCode.sort()).toEqual(inDatabase);
    }
  });

  it('can be taken down migration by migration, and comes back the same', async () => {
    const before = await inventory();
    expect(before.length).toBeGreaterThan(60);

    const steps = dataSource.migrations.length;
    for (let step = 0; step < steps; step += 1) await dataSource.undoLastMigration();
    expect(await inventory()).toEqual([]);

    await dataSource.runMigrations();
    expect(await inventory()).toEqual(before);
    expect(await dataSource.showMigrations()).toBe(false);
  });
});
