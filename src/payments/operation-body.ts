import { IsIn, IsInt, IsObject, IsUUID, Max, Min } from 'class-validator';

/** What a refund needs to be told where the payment is not in the path. */
export class RefundParamsBody {
  @IsUUID(undefined, { message: 'must be the id of a payment' })
  payment_id!: string;

  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  @IsInt({ message: 'must be a whole number of minor units, as a JSON number' })
  amount!: number;
}

/** The body of `PUT /operations/{key}`: what is to happen once, whoever asks how often. */
export class OperationBody {
  @IsIn(['payment', 'refund'], { message: 'must be "payment" or "refund"' })
  operation!: 'payment' | 'refund';

  /** What the operation is to be carried out with; each kind has its own members, checked by its own rules. */
  @IsObject({ message: 'must be an object' })
  params!: object;
}
