import { Controller, Get, Inject, Param, Query, UseGuards } from '@nestjs/common';
import { DataSource, LessThan } from 'typeorm';
import { AuthenticationGuard } from '../http/authentication.guard.js';
import { type Caller, CallerOf, Needs } from '../http/caller.js';
import { listToJson, PageQuery } from '../http/page.js';
import { Problem } from '../http/problem.js';
import { Account, accountToJson } from './account.entity.js';
import { Transfer, transferToJson } from './transfer.entity.js';

@Controller('accounts')
@UseGuards(AuthenticationGuard)
export class AccountsController {
  constructor(@Inject(DataSource) private readonly dataSource: DataSource) {}

  @Get()
  @Needs('read')
  async list(@CallerOf() { customerId }: Caller) {
    const accounts = await this.dataSource.manager.find(Account, {
      where: { customerId },
      order: { id: 'ASC' },
    });
    return { object: 'list', data: accounts.map(accountToJson), next: null };
  }

  @Get(':id')
  @Needs('read')
  async show(@CallerOf() { customerId }: Caller, @Param('id') id: string) {
    return accountToJson(await this.own(customerId, id));
  }

  @Get(':id/transfers')
  @Needs('read')
  async transfers(
    @CallerOf() { customerId }: Caller,
    @Param('id') id: string,
    @Query() { limit, after }: PageQuery,
  ) {
    const account = await this.own(customerId, id);
    const older = after === undefined ? {} : { id: LessThan(after) };
    const transfers = await this.dataSource.manager.find(Transfer, {
      where: [
        { debitAccountId: account.id, ...older },
        { creditAccountId: account.id, ...older },
      ],
      order: { id: 'DESC' },
      take: limit + 1,
    });
    return listToJson(transfers, limit, transferToJson);
  }

  private async own(customerId: string, id: string): Promise<Account> {
    const account = await this.dataSource.manager.findOneBy(Account, { customerId, id });
    if (!account) throw new Problem('not_found', 'You have no account with this id.');
    return account;
  }
}
