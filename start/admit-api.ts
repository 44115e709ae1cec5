import { Client } from 'pg';
import { admitApi } from './api-role.js';

/** As a command, for the owner in DATABASE_URL: the API may log in with the password in API_DATABASE_PASSWORD. */
const { DATABASE_URL: databaseUrl, API_DATABASE_PASSWORD: password } = process.env;
if (!databaseUrl || !password) throw new Error('DATABASE_URL and API_DATABASE_PASSWORD must be set.');
const owner = new Client({ connectionString: databaseUrl });
await owner.connect();
await admitApi(owner, password);
await owner.end();
console.log('The API may log in.');
