import { IsInt, IsOptional, IsString, IsUUID, Max, Min } from 'class-validator';
import { Transform } from 'class-transformer';
import { limits } from '../settings.js';

/** The query of every list: newest first, `after` is the `next` of the page before. */
export class PageQuery {
  @IsOptional()
  @Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && /^\d{1,3}$/.test(value) ? Number(value) : value,
  )
  @IsInt({ message: 'must be a whole number' })
  @Min(1)
  @Max(limits.pageSizeMax)
  limit = 20;

  @IsOptional()
  @IsString()
  @IsUUID(undefined, { message: 'must be the `next` of an earlier page' })
  after?: string;
}

/** One more than asked for was read: whether it is there tells whether there is a next page. */
export function listToJson<Row extends { id: string }, Json>(
  rows: readonly Row[],
  limit: number,
  toJson: (row: Row) => Json,
): { object: 'list'; data: Json[]; next: string | null } {
  const page = rows.slice(0, limit);
  return {
    object: 'list',
    data: page.map(toJson),
    next: rows.length > limit ? (page.at(-1)?.id ?? null) : null,
  };
}
