import type { DataSource } from 'typeorm';
import { Bus } from '../database/bus.js';
import { columns, read } from '../database/statement.js';
import type { Settings } from '../settings.js';
import { inOrderOf, selectKeys, type FoundRow, type KeyRow } from './claim.js';
import type { Owner } from './operation.js';

/** Reads key rows outside any transaction. Whoever looks at the same moment shares the trip. */
export class LookUp {
  private readonly bus: Bus<Owner, { row: KeyRow | undefined }>;

  constructor(dataSource: DataSource, { batchSizeMax, waitingMax }: Settings) {
    this.bus = new Bus({ seatsMax: batchSizeMax, busesMax: 1, waitingMax }, async owners => {
      const rows = await read<FoundRow>(dataSource, selectKeys, columns(owners, 'customerId', 'key'));
      return inOrderOf(owners, rows).map(row => ({ row }));
    });
  }

  /** @returns `undefined`: the key was never used, or its row has been reaped */
  async row(owner: Owner): Promise<KeyRow | undefined> {
    return (await this.bus.board(owner)).row;
  }
}
