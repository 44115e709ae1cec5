import { IsIn, IsInt, IsISO4217CurrencyCode, IsOptional, IsString, Length, Matches, Max, Min } from 'class-validator';
import { limits } from '../settings.js';

/** The body of `POST /payments`. Members that are not listed here are refused. */
export class PaymentBody {
  /** Whom to pay: the id of an account. */
  @IsString({ message: 'must be the id of an account' })
  @Length(1, limits.accountIdLengthMax)
  to!: string;

  /** In the currency's minor unit: 10000 GBP is £100.00. */
  @IsInt({ message: 'must be a whole number of minor units, as a JSON number' })
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  amount!: number;

  @IsString({ message: 'must be an ISO 4217 code in capitals, GBP say' })
  @Matches(/^[A-Z]{3}$/, { message: 'must be an ISO 4217 code in capitals, GBP say' })
  @IsISO4217CurrencyCode({ message: 'is not a currency' })
  currency!: string;

  /** The account to pay from. Without it: the caller's only account in that currency. */
  @IsOptional()
  @IsString({ message: 'must be the id of an account' })
  @Length(1, limits.accountIdLengthMax)
  from?: string | null;

  @IsOptional()
  @IsIn(['ledger'], { message: 'must be "ledger"' })
  rail?: 'ledger' | null;

  @IsOptional()
  @IsString({ message: 'must be a string' })
  @Length(0, limits.referenceLengthMax)
  reference?: string | null;

  /** When the caller made the request, for its own records. Never part of the fingerprint. */
  @IsOptional()
  @IsString({ message: 'must be a string' })
  @Length(0, limits.referenceLengthMax)
  client_timestamp?: string | null;
}
