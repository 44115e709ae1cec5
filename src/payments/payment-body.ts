import { IsIn, IsInt, IsISO4217CurrencyCode, IsOptional, IsString, Matches, Max, Min } from 'class-validator';
import { Characters } from '../http/characters.js';
import { limits } from '../settings.js';

/**
 * The body of `POST /payments`. Members that are not listed here are refused.
 *
 * The rule next to a member is checked first, so that a mistake is told by the plainest rule it breaks.
 */
export class PaymentBody {
  /** Whom to pay: the id of an account. */
  @Characters(1, limits.accountIdLengthMax)
  @IsString({ message: 'must be the id of an account' })
  to!: string;

  /** In the currency's minor unit: 10000 GBP is £100.00. */
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  @IsInt({ message: 'must be a whole number of minor units, as a JSON number' })
  amount!: number;

  @IsISO4217CurrencyCode({ message: 'is not a currency' })
  @Matches(/^[A-Z]{3}$/, { message: 'must be an ISO 4217 code in capitals, GBP say' })
  @IsString({ message: 'must be an ISO 4217 code in capitals, GBP say' })
  currency!: string;

  /** The account to pay from. Without it: the caller's only account in that currency. */
  @Characters(1, limits.accountIdLengthMax)
  @IsString({ message: 'must be the id of an account' })
  @IsOptional()
  from?: string | null;

  /** `ledger`: both accounts are in our books. `bank`: the payee is at another bank. */
  @IsIn(['ledger', 'bank'], { message: 'must be "ledger" or "bank"' })
  @IsOptional()
  rail?: 'ledger' | 'bank' | null;

  @Characters(0, limits.referenceLengthMax)
  @IsString({ message: 'must be a string' })
  @IsOptional()
  reference?: string | null;

  /** When the caller made the request, for its own records. Never part of the fingerprint. */
  @Characters(0, limits.referenceLengthMax)
  @IsString({ message: 'must be a string' })
  @IsOptional()
  client_timestamp?: string | null;
}
