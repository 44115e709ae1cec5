import type { Client } from 'pg';

/** Made by the migrations, with the rights that API and workers need, and no others. */
export const apiRole = 'pay_sam_api';

/** Lets the role log in with this password. Repeating it changes nothing. */
export async function admitApi(owner: Client, password: string): Promise<void> {
  // A statement about roles takes no parameters.
  await owner.query(
    'ALTER ROLE ' + owner.escapeIdentifier(apiRole) + ' LOGIN PASSWORD ' + owner.escapeLiteral(password),
  );
}
