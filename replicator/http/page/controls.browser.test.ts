import { describe, expect, it } from 'vitest';
import { Problem } from '../../problem.ts';
import { listing } from '../../testing/http-harness.ts';
import { pageBrowser } from '../../testing/page-browser.ts';

const here = pageBrowser();
const ERROR = { code: 'APPLY_FAILED', message: 'Refused', remedy: 'ALTER TABLE x' } as const;

describe.each([
  ['with JavaScript', true],
  ['without JavaScript', false],
])('%s', (_, javaScriptEnabled) => {
  it('pauses and resumes', async () => {
    const page = await here.visit({ javaScriptEnabled });
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('heading', { name: /^Paused\./ }).waitFor();
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('button', { name: 'Pause' }).waitFor();
    expect(here.server.calls).toEqual(['pause by the status page, from 127.0.0.1', 'resume by the status page, from 127.0.0.1']);
  });

  it('retries a table in error', async () => {
    here.server.model.followed.list([listing('public.orders', { state: 'error', error: ERROR })]);
    const page = await here.visit({ javaScriptEnabled });
    await page.getByRole('button', { name: 'Retry' }).click();
    await expect.poll(() => here.server.calls).toEqual(['retry public.orders by the status page, from 127.0.0.1']);
    await page.getByRole('link', { name: 'public.orders' }).click();
    await page.getByRole('button', { name: 'Retry' }).click();
    await expect.poll(() => here.server.calls).toHaveLength(2);
  });

  it('compares both sides of a table, and ends that', async () => {
    const page = await here.visit({ javaScriptEnabled, path: '/tables/public/orders' });
    await page.getByRole('button', { name: 'Validate' }).click();
    await expect.poll(() => here.server.calls).toEqual(['validate public.orders by the status page, from 127.0.0.1']);
    here.server.model.validations.begin(['public.orders'], 'a test', new Date().toISOString());
    // Without JavaScript the answer may still be on its way, and a page that is just leaving cannot be loaded again.
    const reloaded = async (): Promise<boolean> =>
      await page.reload().then(
        () => true,
        () => false,
      );
    await expect.poll(reloaded, { timeout: 20_000 }).toBe(true);
    await page.getByText('waits for its turn').waitFor();
    await page.getByRole('button', { name: 'Cancel validation' }).click();
    await expect.poll(() => here.server.calls.at(-1)).toBe('cancel validation by the status page, from 127.0.0.1');
  });

  it('copies a table again once its name is typed', async () => {
    const page = await here.visit({ javaScriptEnabled, path: '/tables/public/orders' });
    await page.getByRole('link', { name: 'Copy again…' }).click();
    await page.getByRole('heading', { name: 'Copy public.orders again?' }).waitFor();
    await page.getByLabel('Type public.orders to go on').fill('public.orders');
    await page.getByRole('button', { name: 'Copy again' }).click();
    await page.getByRole('heading', { name: 'Copy public.orders again?' }).waitFor({ state: 'hidden' });
    await page.getByRole('heading', { name: 'public.orders', exact: true }).waitFor();
    expect(here.server.calls).toEqual(['resync public.orders by the status page, from 127.0.0.1']);
  });

  it('removes a table once its name is typed', async () => {
    const page = await here.visit({ javaScriptEnabled, path: '/tables/public/orders' });
    await page.getByRole('link', { name: 'Remove…' }).click();
    await page.getByLabel('Type public.orders to go on').fill('public.orders');
    await page.getByRole('button', { name: 'Stop following' }).click();
    await page.getByRole('heading', { name: 'Stop following public.orders?' }).waitFor({ state: 'hidden' });
    expect(here.server.calls).toEqual(['remove public.orders by the status page, from 127.0.0.1']);
  });

  it('adds a table', async () => {
    const page = await here.visit({ javaScriptEnabled });
    await page.getByRole('link', { name: 'Add a table' }).click();
    await page.getByLabel('Name on the source').fill('shop.new');
    await page.getByRole('button', { name: 'See what would happen' }).click();
    await page.getByRole('heading', { name: 'Follow shop.new?' }).waitFor();
    await page.getByText('About 1,200 rows are copied').waitFor();
    await page.getByText('shop.new has no key.').waitFor();
    expect(here.server.calls).toEqual(['plan shop.new']);
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('heading', { name: 'Follow shop.new?' }).waitFor({ state: 'hidden' });
    expect(here.server.calls).toEqual(['plan shop.new', 'add shop.new by the status page, from 127.0.0.1']);
  });

  it('does not add what cannot be planned, and says why', async () => {
    here.expecting('404');
    here.server.failWith = new Problem('SOURCE_TABLE_MISSING', 'shop.old does not exist on the source.', { remedy: 'Check it.' });
    const page = await here.visit({ javaScriptEnabled, path: '/add' });
    await page.getByLabel('Name on the source').fill('shop.old');
    await page.getByRole('button', { name: 'See what would happen' }).click();
    await page.getByText('shop.old does not exist on the source.').waitFor();
    expect(here.server.calls).toEqual([]);
  });

  it('keeps filter and page over an action', async () => {
    here.server.model.followed.list(
      Array.from({ length: 60 }, (_, i) => listing(`public.t${i}`, i === 7 ? { state: 'error', error: ERROR } : {})),
    );
    const page = await here.visit({ javaScriptEnabled, path: '/?q=t7' });
    await page.getByRole('button', { name: 'Retry' }).click();
    await expect.poll(() => here.server.calls).toHaveLength(1);
    await page.getByText('1 table of 60.').waitFor();
    expect(page.url()).toContain('?q=t7');
  });

  it('says why something could not be done', async () => {
    here.expecting('409', '400');
    here.server.failWith = new Problem('NOT_POSSIBLE_NOW', 'It is being copied.', { remedy: 'Wait until it is complete.' });
    const page = await here.visit({ javaScriptEnabled, path: '/tables/public/orders' });
    await page.getByRole('link', { name: 'Copy again…' }).click();
    await page.getByLabel('Type public.orders to go on').fill('public.orders');
    await page.getByRole('button', { name: 'Copy again' }).click();
    await page.getByText('It is being copied.').waitFor();
    await page.getByText('Wait until it is complete.').waitFor();
  });

  it('changes colours and keeps them', async () => {
    const page = await here.visit({ javaScriptEnabled, colorScheme: 'light' });
    const ground = (): Promise<string> => page.evaluate('getComputedStyle(document.documentElement).backgroundColor');
    expect(await ground()).toBe('rgb(245, 247, 250)');
    await page.getByRole('button', { name: 'Dark colours' }).click();
    await expect.poll(ground).toBe('rgb(13, 18, 25)');
    await page.reload();
    expect(await ground()).toBe('rgb(13, 18, 25)');
    await page.getByRole('button', { name: 'Colours as the system has them' }).click();
    await expect.poll(ground).toBe('rgb(245, 247, 250)');
  });
});

describe('with JavaScript', () => {
  it('loads nothing again for any of it', async () => {
    here.server.model.followed.list([listing('public.orders', { state: 'error', error: ERROR })]);
    const page = await here.visit();
    await page.evaluate('window.here = true');
    await page.getByRole('button', { name: 'Retry' }).click();
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('button', { name: 'Resume' }).waitFor();
    await page.getByRole('link', { name: 'Add a table' }).click();
    await page.getByLabel('Name on the source').fill('shop.new');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Follow shop.new?' }).waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: 'Dark colours' }).click();
    await expect.poll(() => here.server.calls).toHaveLength(4);
    expect(await page.evaluate('window.here')).toBe(true);
  });

  it('does nothing while the name that was typed is another', async () => {
    const page = await here.visit({ path: '/tables/public/orders' });
    await page.getByRole('link', { name: 'Remove…' }).click();
    await page.getByLabel('Type public.orders to go on').fill('public.order');
    await page.getByRole('button', { name: 'Stop following' }).click();
    expect(await page.evaluate("document.getElementById('confirm').validationMessage")).toBe('Type public.orders');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    expect(here.server.calls).toEqual([]);
  });
});

describe('without JavaScript', () => {
  it('does nothing while the name that was typed is another', async () => {
    here.expecting('400');
    const page = await here.visit({ javaScriptEnabled: false, path: '/tables/public/orders/remove' });
    await page.getByLabel('Type public.orders to go on').fill('public.order');
    await page.getByRole('button', { name: 'Stop following' }).click();
    await page.getByText('What was typed is not public.orders.').waitFor();
    expect(here.server.calls).toEqual([]);
  });

  it('is renewed by itself, and can be held still', async () => {
    const page = await here.visit({ javaScriptEnabled: false });
    expect(await page.locator('meta[http-equiv=refresh]').count()).toBe(1);
    await page.getByRole('link', { name: 'Hold it still' }).click();
    await page.getByRole('link', { name: 'Renew it' }).waitFor();
    expect(await page.locator('meta[http-equiv=refresh]').count()).toBe(0);
  });
});
