import { IsInt, Max, Min } from 'class-validator';

/** The body of `POST /payments/{id}/refunds`. */
export class RefundBody {
  /** In the minor unit of the payment's currency; together with earlier refunds at most what was paid. */
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  @IsInt({ message: 'must be a whole number of minor units, as a JSON number' })
  amount!: number;
}
