import { startBank } from '../../bank/server.js';

/** The other bank inside the test's own process, with books in memory: for tests that count what reached it. */
export interface BankInside {
  /** What an API needs to reach it. */
  env: { BANK_URL: string; BANK_API_KEY: string };
  /** Every request about a transfer since the last `forget`, by the bank's own log. */
  requests: () => Promise<{ method: 'PUT' | 'GET'; reference: string; status: number | null }[]>;
  /** Drops the log, not the books. */
  forget: () => Promise<void>;
  stop: () => Promise<void>;
}

const apiKey = 'bk_test_inside';

export async function openBankInside(): Promise<BankInside> {
  const bank = await startBank({ port: 0, books: ':memory:', control: true, settleMs: 5, apiKey });
  const control = async (method: string, path: string) => {
    const headers = { authorization: `Bearer ${apiKey}` };
    const answer = await fetch(`${bank.url}/control${path}`, { method, headers });
    if (!answer.ok) throw new Error(`the bank answered ${method} ${path} with ${answer.status}`);
    return answer;
  };
  return {
    env: { BANK_URL: bank.url, BANK_API_KEY: apiKey },
    requests: async () => {
      const log = (await (await control('GET', '/requests')).json()) as {
        requests: Awaited<ReturnType<BankInside['requests']>>;
      };
      return log.requests;
    },
    forget: async () => {
      await control('POST', '/reset');
    },
    stop: bank.stop,
  };
}
