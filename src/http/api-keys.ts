import { hash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Bus } from '../database/bus.js';
import { read, type Statement } from '../database/statement.js';
import { Settings } from '../settings.js';
import type { Caller, Scope } from './caller.js';

/** Nobody holds this API key, or nobody any more. */
export const unknownCaller = 'unknown';

/**
 * Finds callers by the SHA-256 of their API key. Every request is looked up anew, so that a revoked key is
 * refused at once; concurrent requests share the look-up, so that this costs one statement for all of them.
 */
@Injectable()
export class ApiKeys {
  private readonly bus: Bus<string, Caller | typeof unknownCaller>;

  constructor(
    @Inject(DataSource) private readonly dataSource: DataSource,
    @Inject(Settings) { batchSizeMax, waitingMax }: Settings,
  ) {
    this.bus = new Bus({ seatsMax: batchSizeMax, busesMax: 1, waitingMax }, hashes => this.lookUp(hashes));
  }

  /** @throws StopFull, and what the database throws */
  callerOf(apiKey: string): Promise<Caller | typeof unknownCaller> {
    return this.bus.board(hash('sha256', apiKey, 'hex'));
  }

  private async lookUp(hashes: readonly string[]): Promise<(Caller | typeof unknownCaller)[]> {
    const rows = await read<ApiKeyRow>(this.dataSource, validApiKeys, [[...new Set(hashes)]]);
    const callers = new Map(rows.map(({ hash, ...row }) => [hash, toCaller(row)] as const));
    return hashes.map(hash => callers.get(hash) ?? unknownCaller);
  }
}

const validApiKeys: Statement = {
  name: 'valid_api_keys',
  text: `
    SELECT wanted.hash, api_keys.customer_id, api_keys.scopes, customers.keyless
      FROM unnest($1::text[]) AS wanted (hash)
      JOIN api_keys ON api_keys.hash = decode(wanted.hash, 'hex')
      JOIN customers ON customers.id = api_keys.customer_id
     WHERE api_keys.revoked_at IS NULL`,
};

interface ApiKeyRow {
  hash: string;
  customer_id: string;
  scopes: Scope[];
  keyless: 'fingerprint' | null;
}

function toCaller({ customer_id: customerId, scopes, keyless }: Omit<ApiKeyRow, 'hash'>): Caller {
  return { customerId, scopes, isKeyless: keyless === 'fingerprint' };
}
