import { randomBytes } from 'node:crypto';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { connect, type Database } from '../support/database.js';

/** A role of the suite's own with the rights of the API, and no others. */
export interface ApiLogin {
  name: string;
  /** The database, for that role. */
  url: string;
  drop: () => Promise<void>;
}

/** Roles belong to the cluster, so each suite makes one, puts it into `pay_sam_api`, and takes it away again. */
export async function createApiLogin({ name: database, url, sql }: Database): Promise<ApiLogin> {
  const name = `${database}_api`;
  const password = randomBytes(16).toString('hex');
  const login = escapeIdentifier(name);
  await sql('CREATE ROLE ' + login + ' LOGIN PASSWORD ' + escapeLiteral(password) + ' IN ROLE pay_sam_api');
  return {
    name,
    url: Object.assign(new URL(url), { username: name, password }).href,
    drop: async () => {
      // Not through the database, which may be gone by now.
      const server = await connect(process.env['TEST_SERVER_URL'] ?? '');
      await server.sql('DROP ROLE ' + login);
      await server.end();
    },
  };
}
