// The page over the whole thing: the built program between two servers, and somebody who looks and clicks.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareTables } from '../../testing/compare.ts';
import { ownServers, sql, value, type TestDatabases } from '../../testing/databases.ts';
import { eventually } from '../../testing/eventually.ts';
import { launchBrowser } from '../../testing/page-browser.ts';
import { spawnReplicator } from '../../testing/replicator-process.ts';

const PATIENCE = { timeout: 60_000 };

let browser: Browser;
beforeAll(async () => {
  browser = await launchBrowser();
}, 120_000);
afterAll(() => browser.close());

test('somebody follows a pipeline on its page, through all that may come', { timeout: 240_000 }, async () => {
  await using db = await ownServers();
  await sql(db.source, 'CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT n, n FROM generate_series(1, 50) n');
  await sql(db.source, 'CREATE TABLE other (id int PRIMARY KEY)');
  await using replicator = await spawnReplicator(db);
  await replicator.streaming();
  const complaints: string[] = [];
  const page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(PATIENCE.timeout);
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(replicator.address);
  await page.evaluate('window.here = true');

  await numbersMove(page, db);
  await pausesAndResumes(page, db);
  await standsAsideAndComesBack(page, db);
  expect(await page.evaluate('window.here')).toBe(true);
  await isCopiedAgain(page, db, replicator.address);
  await answersWhileNobodyElseDoes(page, db);
  expect(complaints).toEqual([]);
  await page.context().close();
  expect((await replicator.stop()).exitCode).toBe(0);
});

async function numbersMove(page: Page, db: TestDatabases): Promise<void> {
  await page.getByRole('heading', { name: /^Streaming\./ }).waitFor();
  const row = page.getByRole('row').filter({ hasText: 'public.t' }).first();
  await row.getByText('50', { exact: true }).waitFor();
  await sql(db.source, 'INSERT INTO t SELECT n, n FROM generate_series(51, 73) n');
  await row.getByText('23', { exact: true }).waitFor();
  await sql(db.source, 'UPDATE t SET v = v + 1 WHERE id <= 7');
  await row.getByText('7', { exact: true }).waitFor();
}

async function pausesAndResumes(page: Page, db: TestDatabases): Promise<void> {
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('heading', { name: /^Paused\./ }).waitFor();
  await sql(db.source, 'INSERT INTO other VALUES (1)');
  expect(await value(db.target, 'SELECT count(*) FROM other')).toBe('0');
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('heading', { name: /^Streaming\./ }).waitFor();
  await eventually(async () => (await value(db.target, 'SELECT count(*) FROM other')) === '1', PATIENCE);
  await page.getByText('Paused by the status page, from 127.0.0.1.').waitFor();
}

async function standsAsideAndComesBack(page: Page, db: TestDatabases): Promise<void> {
  await sql(db.target, 'ALTER TABLE t ADD CONSTRAINT small CHECK (v < 1000)');
  await sql(db.source, 'INSERT INTO t VALUES (1000, 1000)');
  const problem = page.locator('#problems li');
  await problem.getByText('APPLY_FAILED').waitFor();
  await problem.getByText('id=1000').first().waitFor();
  await problem.locator('.remedy').waitFor();
  // It is tried again by itself, in vain, and that is counted.
  await problem.getByText(/\d+ times so far/).waitFor();
  // Far enough away for the button to be first.
  await problem.getByText(/tried again in (?:[6-9](?:\.\d)?|\d\d) s/).waitFor();
  await sql(db.target, 'ALTER TABLE t DROP CONSTRAINT small');
  await problem.getByRole('button', { name: 'Retry' }).click();
  await problem.waitFor({ state: 'detached' });
  await page.getByText('To be tried again, asked for by the status page').waitFor();
  await eventually(async () => (await value(db.target, 'SELECT v FROM t WHERE id = 1000')) === '1000', PATIENCE);
}

async function isCopiedAgain(page: Page, db: TestDatabases, address: string): Promise<void> {
  await sql(db.target, 'UPDATE t SET v = -1 WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (-5, 5)');
  await page.goto(`${address}/tables/public/t`);
  await page.getByRole('link', { name: 'Copy again…' }).click();
  await page.getByLabel('Type public.t to go on').fill('public.t');
  await page.getByRole('button', { name: 'Copy again' }).click();
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await eventually(() => compareTables(db.source, db.target, 'public.t'), PATIENCE);
  await page.locator('#table').getByText('streaming', { exact: true }).waitFor();
  await page.getByText('To be copied again, asked for by the status page').waitFor();
}

async function answersWhileNobodyElseDoes(page: Page, db: TestDatabases): Promise<void> {
  await Promise.all([db.source.server?.stop(), db.target.server?.stop()]);
  await page.goto(new URL('/', page.url()).href);
  await expect.poll(() => page.title(), PATIENCE).toMatch(/^retrying/);
  await page
    .getByText(/_UNREACHABLE/)
    .first()
    .waitFor();
  await page
    .locator('#problems')
    .getByText(/\d+ times so far/)
    .first()
    .waitFor();
  // What was known stays to be read, and a page that is opened now is whole.
  await page.getByRole('rowheader', { name: 'public.t' }).waitFor();
  await page.getByRole('link', { name: 'Configuration' }).click();
  await page.getByRole('heading', { name: 'Configuration' }).waitFor();
  await page.goBack();
  await Promise.all([db.source.server?.start(), db.target.server?.start()]);
  await page.getByRole('heading', { name: /^Streaming\./ }).waitFor();
  await page.locator('#problems').waitFor({ state: 'hidden' });
  await sql(db.source, 'INSERT INTO other VALUES (2)');
  await eventually(() => compareTables(db.source, db.target), PATIENCE);
}
