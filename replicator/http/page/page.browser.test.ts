import { describe, expect, it } from 'vitest';
import { TOKEN, listing } from '../../testing/http-harness.ts';
import { pageBrowser } from '../../testing/page-browser.ts';

const here = pageBrowser();

describe('the status page in a browser', () => {
  it('shows the pipeline and its tables', async () => {
    const page = await here.visit();
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
    here.server.model.followed.list(Array.from({ length: 12 }, (_, i) => listing(`public.t${i}`)));
    const page = await here.visit();
    await page.getByLabel('Filter tables by name').fill('t11');
    await page.getByText('1 table of 12.').waitFor();
    await page.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))");
    const { model, events } = here.server;
    const counts = { insert: 41, update: 0, delete: 0, truncate: 0 };
    model.batchApplied({ rows: 41, transactions: 1, durationMs: 1, perTable: [['public.t11', counts]], at: Date.now() });
    events.append({ level: 'warn', code: 'NOTE', message: 'Something happened' });
    model.problem({ code: 'APPLY_FAILED', message: 'Refused by the target', remedy: 'ALTER TABLE t ADD x int;' });
    await page.getByRole('cell', { name: '41', exact: true }).waitFor();
    await page.getByText('Something happened').waitFor();
    await page.getByRole('heading', { name: 'Needs attention' }).waitFor();
    expect(await page.getByLabel('Filter tables by name').inputValue()).toBe('t11');
    expect(await page.getByRole('rowheader').allInnerTexts()).toEqual(['public.t11']);
    expect(await page.evaluate('document.activeElement.id')).toBe('filter');
    expect(await page.evaluate('getSelection().toString()')).toMatch(/^Streaming/);
    expect(new URL(page.url()).search).toBe('?q=t11');
  });

  it('opens one stream, and none while it is hidden', async () => {
    const page = await here.visit();
    const streams: string[] = [];
    page.on('request', (request) => {
      if (request.url().endsWith('/api/v1/stream')) streams.push(request.url());
    });
    await page.getByText('live', { exact: true }).waitFor();
    const hide = (hidden: boolean): Promise<unknown> =>
      page.evaluate(
        `Object.defineProperty(document, 'hidden', { configurable: true, value: ${hidden} }); document.dispatchEvent(new Event('visibilitychange'))`,
      );
    const before = streams.length;
    await hide(true);
    here.server.events.append({ level: 'info', code: 'NOTE', message: 'Unseen so far' });
    // Nothing is asked for, so nothing comes: the page grows old.
    await page.getByText(/^stale \d+ s$/).waitFor({ timeout: 15_000 });
    expect(await page.getByText('Unseen so far').count()).toBe(0);
    await hide(false);
    await page.getByText('Unseen so far').waitFor();
    await page.getByText('live', { exact: true }).waitFor();
    expect(streams.length - before).toBe(1);
  });

  it('copies a remedy', async () => {
    here.server.model.problem({ code: 'APPLY_FAILED', message: 'Refused', remedy: 'ALTER TABLE t ADD x int;' });
    const page = await here.visit({ permissions: ['clipboard-read', 'clipboard-write'] });
    await page.getByRole('button', { name: 'Copy' }).click();
    await expect.poll(() => page.evaluate('navigator.clipboard.readText()')).toBe('ALTER TABLE t ADD x int;');
  });

  it('says so when no data comes any more, and goes on when it does', async () => {
    here.expecting('ERR_', 'Failed to load');
    const page = await here.visit();
    await page.getByText('live', { exact: true }).waitFor();
    await here.stop();
    await page.getByText(/^stale \d+ s$/).waitFor({ timeout: 15_000 });
    expect(await page.evaluate('document.documentElement.className')).toContain('stale');
    expect(await page.evaluate("getComputedStyle(document.querySelector('.number')).filter")).toBe('grayscale(1)');
    // What is wrong and what to do stays readable.
    expect(await page.evaluate("getComputedStyle(document.querySelector('main')).opacity")).toBe('1');
    const { port } = new URL(here.server.address);
    const { model } = await here.restart({ port: Number(port) });
    model.setState('failed', 'somebody has to act');
    await page.getByRole('heading', { name: /^Stopped: somebody has to act\./ }).waitFor();
    await page.getByText('live', { exact: true }).waitFor();
  });

  it.each([320, 400, 800, 1280, 3840])('fits a screen of %i pixels', async (width) => {
    const { model } = here.server;
    const name = `public.${'a_very_long_name_'.repeat(3)}`;
    const error = {
      code: 'APPLY_FAILED',
      message: `INSERT of ${name} was refused`,
      remedy: `ALTER TABLE ${name} ADD x int;`,
    } as const;
    model.followed.list([
      ...Array.from({ length: 120 }, (_, i) => listing(`public.t${i}`)),
      listing(name, { state: 'error', error }),
    ]);
    model.problem({ ...error, table: name });
    for (const path of ['/', '/events', `/tables/public/${name.slice(7)}`, `/tables/public/${name.slice(7)}/resync`]) {
      const page = await here.visit({ viewport: { width, height: 900 }, path });
      expect(await page.evaluate('document.documentElement.scrollWidth'), path).toBeLessThanOrEqual(width);
    }
  });

  it('tells value and time of a curve, to the hand and to the arrow keys', async () => {
    const { model } = here.server;
    model.stream.queue(3 * 1_048_576, 8 * 1_048_576);
    model.sample();
    const page = await here.visit();
    const curve = page.getByRole('img', { name: /^queued, the last 15 minutes, 3 MB at most$/ });
    const told = page.getByText(/^3 MB at \d\d:\d\d:\d\d UTC$/);
    let moves = 0;
    // News may draw the curve anew under a hand that rests.
    const pointed = async (): Promise<boolean> => {
      const box = (await curve.boundingBox())!;
      await page.mouse.move(box.x + box.width - 1, box.y + 10 + (moves++ % 2));
      return await told.isVisible();
    };
    await expect.poll(pointed, { timeout: 20_000 }).toBe(true);
    await page.mouse.move(5, 5);
    await page.getByText(/^3 MB at/).waitFor({ state: 'hidden' });
    await page.getByRole('img', { name: /^to apply/ }).focus();
    await page.keyboard.press('Tab');
    await page.getByText(/^3 MB at \d\d:\d\d:\d\d UTC$/).waitFor();
    await page.keyboard.press('Home');
    await page.getByText(/^not known at \d\d:\d\d:\d\d UTC$/).waitFor();
    await page.keyboard.press('Escape');
    await page.getByText(/^not known at/).waitFor({ state: 'hidden' });
  });
});

describe('five thousand tables', () => {
  it('can be filtered, sorted and leafed through without loading the page again', async () => {
    const { model } = here.server;
    const error = { code: 'COPY_FAILED', message: 'Refused', remedy: 'Mend it' } as const;
    model.followed.list(
      Array.from({ length: 5000 }, (_, i) =>
        listing(`public.t${i}`, { rowsCopied: i, ...(i === 4321 ? { state: 'error', error } : {}) }),
      ),
    );
    const page = await here.visit();
    await page.evaluate('window.here = true');
    const first = (): Promise<string> => page.getByRole('rowheader').first().innerText();
    expect(await first()).toBe('public.t4321');
    expect(await page.getByRole('rowheader').count()).toBe(50);
    await page.getByRole('link', { name: 'Next' }).click();
    await page.getByText('Page 2 of 100').waitFor();
    await page.getByRole('link', { name: 'Copied' }).click();
    await expect.poll(first).toBe('public.t4999');
    await page.getByRole('link', { name: 'Copied' }).click();
    await expect.poll(first).toBe('public.t0');
    await page.getByLabel('Filter tables by name').fill('t499');
    await page.getByText('11 tables of 5,000.').waitFor();
    await expect.poll(first).toBe('public.t499');
    await page.getByLabel('Filter tables by name').fill('');
    await page.getByText('Page 1 of 100').waitFor();
    await page.getByRole('link', { name: 'error 1' }).click();
    await page.getByText('1 table of 5,000.').waitFor();
    await page.goBack();
    await page.getByText('Page 1 of 100').waitFor();
    expect(await page.evaluate('window.here')).toBe(true);
  });

  it('can be without JavaScript too', async () => {
    here.server.model.followed.list(Array.from({ length: 5000 }, (_, i) => listing(`public.t${i}`)));
    const page = await here.visit({ javaScriptEnabled: false });
    await page.getByLabel('Filter tables by name').fill('t499');
    await page.getByRole('button', { name: 'Filter' }).click();
    await page.getByText('11 tables of 5,000.').waitFor();
    await page.getByRole('link', { name: 'Table', exact: true }).click();
    expect(await page.getByRole('columnheader', { name: /^Table/ }).getAttribute('aria-sort')).toBe('ascending');
    expect(await page.getByRole('rowheader').count()).toBe(11);
  });
});

describe('events', () => {
  it('are filtered by level and text', async () => {
    const { events } = here.server;
    events.append({ level: 'info', code: 'PAUSED', message: 'Paused by the API, from 127.0.0.1.' });
    events.append({ level: 'warn', code: 'ROW_MISSING', table: 'public.orders', message: 'A change found no row' });
    const page = await here.visit({ path: '/events' });
    expect(await page.getByRole('listitem').count()).toBe(2);
    await page.getByLabel('Which events').selectOption('Warnings and errors');
    await expect.poll(() => page.getByRole('listitem').count()).toBe(1);
    await page.getByLabel('Filter events by table, code or text').fill('nothing');
    await page.getByText('No event fits.').waitFor();
    await page.getByLabel('Filter events by table, code or text').fill('ORDERS');
    await page.getByText('A change found no row').waitFor();
    expect(new URL(page.url()).search).toBe('?level=warn&find=ORDERS');
    await page.getByRole('link', { name: 'public.orders' }).click();
    await page.getByRole('heading', { name: 'Events of this table' }).waitFor();
    await page.getByText('A change found no row').waitFor();
  });
});

describe('with a token', () => {
  it('asks for it once, then lives as without', async () => {
    // A refused login is an answer of 401, which the browser reports.
    here.expecting('401');
    await here.restart({ token: TOKEN });
    const page = await here.visit({ path: '/tables/public/orders' });
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
