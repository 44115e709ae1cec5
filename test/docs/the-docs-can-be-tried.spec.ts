import { existsSync } from 'node:fs';
import { chromium, type Browser, type Page } from 'playwright-core';
import { createDataSource } from '../../src/data-source.js';
import { seedDemo } from '../../start/seed.js';
import { bootApi, type Api } from '../support/api.js';
import { createDatabase, type Database } from '../support/database.js';
import { call } from '../support/http.js';

const executablePath = [process.env['CHROMIUM_PATH'], '/usr/bin/chromium', '/usr/bin/google-chrome'].find(
  path => path && existsSync(path),
);
const inBrowser = executablePath ? it : it.skip;
/** A browser on a busy machine takes its time: milliseconds. */
const patience = 60_000;
const unless = executablePath ? '' : ' (skipped: no Chromium here; CHROMIUM_PATH may name one)';

const nothing = "default-src 'none';frame-ancestors 'none'";

describe('the page at /docs', () => {
  let database: Database;
  let api: Api;
  let browser: Browser | undefined;

  beforeAll(async () => {
    database = await createDatabase();
    const dataSource = await createDataSource({ databaseUrl: database.url }).initialize();
    await dataSource.transaction(seedDemo);
    await dataSource.destroy();
    api = await bootApi(database.url);
    // As root, Chromium has no sandbox; the only page it sees here is ours.
    if (executablePath) browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  });
  afterAll(async () => {
    await browser?.close();
    await api.stop();
    await database.drop();
  });

  /** The page as a visitor has it, and everything a visitor would not like. */
  async function visit(): Promise<{ page: Page; complaints: string[] }> {
    const page = await (browser as Browser).newPage();
    page.setDefaultTimeout(15_000);
    const complaints: string[] = [];
    page.on('request', request => {
      const url = request.url();
      if (!url.startsWith(api.url) && !/^(data|blob):/.test(url)) complaints.push(`foreign request: ${url}`);
    });
    // A policy that is broken is told on the console, too.
    page.on('console', message => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', error => complaints.push(error.message));
    await page.goto(`${api.url}/docs`);
    await page.locator('#operations-Payments-payments_pay').waitFor();
    await page.locator('.authorize.locked').waitFor();
    return { page, complaints };
  }

  async function execute(
    page: Page,
  ): Promise<{ status: string; headers: string; body: string; key: string }> {
    const pay = page.locator('#operations-Payments-payments_pay');
    const answered = page.waitForResponse(response => response.url() === `${api.url}/payments`);
    await pay.getByRole('button', { name: 'Execute' }).click();
    const response = await answered;
    const live = pay.locator('.live-responses-table .response');
    // What is on the screen may still be the answer before.
    const requestId = (await response.allHeaders())['request-id'] ?? '';
    await live.locator('.headerline', { hasText: requestId }).waitFor();
    return {
      status: await live.locator('.response-col_status').innerText(),
      headers: (await live.locator('.headerline').allInnerTexts()).join('\n'),
      body: await live.locator('.highlight-code').first().innerText(),
      key: response.request().headers()['idempotency-key'] ?? '',
    };
  }

  inBrowser(
    `pays Sam in the quick start with three clicks, and nothing but this API is asked${unless}`,
    async () => {
      const { page, complaints } = await visit();
      await page.locator('#operations-Payments-payments_pay .opblock-summary-control').click();
      await page.getByRole('button', { name: 'Try it out' }).click();
      const first = await execute(page);
      expect(first.status).toContain('200');
      expect(first.headers).toContain('idempotency-status: completed');
      expect(first.key).toMatch(/^[0-9a-f-]{36}$/);

      // Nothing was changed in between: it is the same request.
      const again = await execute(page);
      expect(again.headers).toContain('idempotent-replayed: true');
      expect([again.key, again.body]).toEqual([first.key, first.body]);

      expect(complaints).toEqual([]);
      const sam = await call(`${api.url}/accounts/sam`, { apiKey: 'sk_demo_sam' });
      expect(sam.json?.['balance']).toMatchObject({ posted: 10_000 });
      await page.close();
    },
    patience,
  );

  inBrowser(
    `offers another key at each visit${unless}`,
    async () => {
      const keys = [];
      for (let visits = 0; visits < 2; visits += 1) {
        const { page } = await visit();
        await page.locator('#operations-Payments-payments_pay .opblock-summary-control').click();
        await page.getByRole('button', { name: 'Try it out' }).click();
        keys.push(await page.getByPlaceholder('Idempotency-Key').inputValue());
        await page.close();
      }
      expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
      expect(keys[0]).not.toBe(keys[1]);
    },
    patience,
  );

  it('may load its own files, and no other page may load anything', async () => {
    const policyOf = async (path: string) =>
      (await call(api.url + path)).headers.get('content-security-policy');
    expect(await policyOf('/docs')).toContain("script-src 'self';");
    expect(await policyOf('/docs/swagger-ui.css')).toContain("default-src 'none';");
    for (const path of ['/openapi.json', '/payments', '/docsify', '/docs-json', '/nowhere']) {
      expect([path, await policyOf(path)]).toEqual([path, nothing]);
    }
  });

  it('is there for everybody, without API key or cookie', async () => {
    const { status, headers } = await call(`${api.url}/docs`);
    expect(status).toBe(200);
    expect(headers.get('set-cookie')).toBeNull();
    expect(headers.get('content-type')).toMatch(/^text\/html/);
  });
});
