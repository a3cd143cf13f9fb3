import sparticuz from '@sparticuz/chromium';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TOKEN, serve } from '../../testing/http-harness.ts';
import type { Harness } from '../../testing/http-harness.ts';

let browser: Browser;
let server: Harness;
/** What a visitor should never see: errors on the console, requests that leave for elsewhere. */
let complaints: string[] = [];
let token: string | null = null;

beforeAll(async () => {
  const args = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'];
  browser = await chromium.launch({ executablePath: await sparticuz.executablePath(), args, headless: true });
}, 120_000);
afterAll(() => browser.close());

beforeEach(async () => {
  complaints = [];
  token = null;
  server = await serve();
});
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
  await server.close();
  expect(complaints).toEqual([]);
});

async function visit(options: BrowserContextOptions = {}): Promise<Page> {
  const page = await (await browser.newContext(options)).newPage();
  page.on('console', (message) => {
    // A refused login is an answer of 401, which the browser reports.
    if (message.type() === 'error' && !(token && message.text().includes('401'))) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('request', (request) => {
    if (!request.url().startsWith(server.address)) complaints.push(`request to ${request.url()}`);
  });
  await page.goto(server.address);
  return page;
}

describe('the status page in a browser', () => {
  it('shows the pipeline and its tables', async () => {
    const page = await visit();
    await page.getByRole('heading', { name: /^Streaming\. pg_y is .* behind pg_x\.$/ }).waitFor();
    expect(await page.getByRole('row').count()).toBe(4);
    expect(await page.getByRole('rowheader').allInnerTexts()).toEqual([
      'public.customers',
      'public.orders',
      expect.stringContaining('public.tb_trx_dest'),
    ]);
    expect(await page.title()).toBe('streaming – shop – pgfollow');
  });

  it('follows the model by itself, and leaves focus, selection and filter alone', async () => {
    server.model.setTables(
      Array.from({ length: 12 }, (_, i) => ({
        source: `public.t${i}`,
        target: `public.t${i}`,
        identity: 'full',
        state: 'streaming',
        rowsEstimated: 1,
      })),
    );
    const page = await visit();
    await page.getByLabel('Filter tables by name').fill('t11');
    await page.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))");
    const counts = { insert: 41, update: 0, delete: 0, truncate: 0 };
    server.model.batchApplied({ rows: 41, transactions: 1, durationMs: 1, perTable: [['public.t11', counts]], at: Date.now() });
    server.events.append({ level: 'warn', code: 'NOTE', message: 'Something happened' });
    server.model.problem({ code: 'APPLY_FAILED', message: 'Refused by the target', remedy: 'ALTER TABLE t ADD x int;' });
    await page.getByRole('cell', { name: '41', exact: true }).waitFor();
    await page.getByText('Something happened').waitFor();
    await page.getByRole('heading', { name: 'Needs attention' }).waitFor();
    expect(await page.getByLabel('Filter tables by name').inputValue()).toBe('t11');
    expect(await page.getByRole('rowheader').allInnerTexts()).toEqual(['public.t11']);
    expect(await page.evaluate('document.activeElement.id')).toBe('filter');
    expect(await page.evaluate('getSelection().toString()')).toMatch(/^Streaming/);
  });

  it('pauses and resumes', async () => {
    const page = await visit();
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('button', { name: 'Pause' }).waitFor();
    expect(server.calls).toEqual(['pause by the API, from 127.0.0.1', 'resume by the API, from 127.0.0.1']);
  });

  it('copies a remedy', async () => {
    server.model.problem({ code: 'APPLY_FAILED', message: 'Refused', remedy: 'ALTER TABLE t ADD x int;' });
    const page = await visit({ permissions: ['clipboard-read', 'clipboard-write'] });
    await page.getByRole('button', { name: 'Copy' }).click();
    await expect.poll(() => page.evaluate('navigator.clipboard.readText()')).toBe('ALTER TABLE t ADD x int;');
  });

  it('says so when no data comes any more', async () => {
    const page = await visit();
    await page.getByText('live', { exact: true }).waitFor();
    await server.close();
    await page.getByText(/no data for \d+ s/).waitFor({ timeout: 15_000 });
    expect(await page.evaluate('document.documentElement.className')).toContain('stale');
    await page.close();
    server = await serve();
    // Whatever the page said of the lost connection is what this test is about.
    complaints = [];
  });

  it('fits a small screen', async () => {
    for (const width of [320, 400, 800]) {
      const page = await visit({ viewport: { width, height: 800 } });
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    }
  });
});

describe('without JavaScript', () => {
  it('shows everything, and its buttons work', async () => {
    const page = await visit({ javaScriptEnabled: false });
    await page.getByRole('heading', { name: /^Streaming\./ }).waitFor();
    expect(await page.getByRole('row').count()).toBe(4);
    expect(await page.locator('noscript').count()).toBe(1);
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('heading', { name: /^Paused\./ }).waitFor();
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('heading', { name: /^Streaming\./ }).waitFor();
    expect(server.calls).toHaveLength(2);
  });
});

describe('with a token', () => {
  it('asks for it once, then lives as without', async () => {
    await server.close();
    token = TOKEN;
    server = await serve({ token });
    const page = await visit();
    await page.getByLabel('API token').fill('not this');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('That is not the token.').waitFor();
    await page.getByLabel('API token').fill(TOKEN);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('heading', { name: /^Streaming\./ }).waitFor();
    await page.getByText('live', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('heading', { name: /^Paused\./ }).waitFor();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByLabel('API token').waitFor();
  });
});
