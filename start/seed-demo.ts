import { createDataSource } from '../src/data-source.js';
import { seedDemo } from './seed.js';

/** The demo's seed as a command, for the database in DATABASE_URL. Running it again changes nothing. */
const dataSource = createDataSource({ databaseUrl: process.env.DATABASE_URL ?? '' });
await dataSource.initialize();
await dataSource.transaction(seedDemo);
await dataSource.destroy();
console.log('The demo is in the database.');
