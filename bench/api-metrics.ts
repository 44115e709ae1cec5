/** What an API's own metrics say it has done for payments at the bank since it started. */
export interface BankTime {
  /** Payments that callers were told the end of. */
  payments: number;
  /** Requests to the bank, and the seconds from asking for a turn until each had ended, added up. */
  requests: number;
  seconds: number;
}

export async function readBankTime(apiUrl: string): Promise<BankTime> {
  const answer = await fetch(`${apiUrl}/metrics`);
  const text = await answer.text();
  const sum = (name: string, label: string) => {
    const series = new RegExp(String.raw`^${name}\{${label}\} (\S+)$`, 'gm');
    const values = [...text.matchAll(series)].map(([, value]) => Number(value));
    // A metric that was given another name must not read as 0 s at the bank.
    if (values.length === 0) throw new Error(`The API's metrics do not tell ${name}.`);
    return values.reduce((total, value) => total + value, 0);
  };
  // "pay" sends a transfer, "ask" asks what became of one. The reconciler's statements are nobody's payment.
  const calls = 'call="(?:pay|ask)"';
  return {
    payments: sum('paysam_answers_total', 'outcome="completed"'),
    requests: sum('paysam_bank_request_seconds_count', calls),
    seconds: sum('paysam_bank_request_seconds_sum', calls),
  };
}
