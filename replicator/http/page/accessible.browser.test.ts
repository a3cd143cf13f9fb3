import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { listing } from '../../testing/http-harness.ts';
import { pageBrowser } from '../../testing/page-browser.ts';
import { slotReading } from '../../testing/slot-reading.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const here = pageBrowser();

interface Finding {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** What axe-core finds wrong, of whatever weight. */
async function findings(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate<{ violations: Finding[] }>('axe.run()');
  return violations.flatMap(({ id, impact, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id} (${impact}): ${html}\n${failureSummary}`),
  );
}

beforeEach(() => {
  const { model, events } = here.server;
  const error = { code: 'APPLY_FAILED', message: 'Refused by the target', remedy: 'ALTER TABLE x ADD y int;' } as const;
  model.followed.list([
    listing('public.orders', { state: 'error', error }),
    listing('public.big', { state: 'copying', rowsEstimated: 100, rowsCopied: 25, copyStartedAt: Date.now() - 60_000 }),
    ...Array.from({ length: 80 }, (_, i) => listing(`public.t${i}`)),
  ]);
  model.problem({ ...error, table: 'public.orders' });
  model.followed.conflict('public.t1', 'updateMissing', 2);
  model.stream.slot(slotReading({ retainedBytes: 9e9, limitBytes: 1e10, safeBytes: 1e9 }));
  model.stream.queue(900, 1000);
  model.stream.heartbeatEmitted('late', Date.now() - 90_000);
  model.stream.spent('apply', 50_000);
  model.stream.spent('lock', 10_000);
  model.sample();
  events.append({ level: 'error', table: 'public.orders', ...error });
  events.append({ level: 'warn', code: 'NOTE', message: 'Take note' });
});

describe.each(['light', 'dark'] as const)('in %s colours', (colorScheme) => {
  it.each(['/', '/events', '/tables/public/orders', '/tables/public/orders/resync', '/add', '/add?table=shop.new', '/config'])(
    '%s has no fault that axe-core finds',
    async (path) => {
      const page = await here.visit({ colorScheme, path, reducedMotion: 'reduce' });
      expect(await findings(page)).toEqual([]);
    },
  );

  it('nor have a dialog and a small screen', async () => {
    const page = await here.visit({ colorScheme, path: '/', viewport: { width: 320, height: 700 }, reducedMotion: 'reduce' });
    expect(await findings(page)).toEqual([]);
    await page.getByRole('link', { name: 'Add a table' }).click();
    await page.getByRole('dialog').waitFor();
    expect(await findings(page)).toEqual([]);
  });
});

describe('the keyboard', () => {
  it('reaches everything in order, and what has it is seen', async () => {
    const page = await here.visit();
    const focused: string[] = [];
    for (let i = 0; i < 25; i++) {
      await page.keyboard.press('Tab');
      focused.push(
        await page.evaluate<string>("(document.activeElement.innerText || document.activeElement.ariaLabel || '').trim()"),
      );
      expect(
        await page.evaluate(
          "getComputedStyle(document.activeElement).outlineStyle !== 'none' || document.activeElement.matches('input')",
        ),
      ).toBe(true);
    }
    const order = ['Skip to the content', 'pgfollow', 'Overview', 'Events', 'Dark colours', 'Pause', '1 problem', 'Copy'];
    expect(focused).toEqual(expect.arrayContaining(order));
    expect(focused.indexOf('Skip to the content')).toBe(0);
  });

  it('pauses, asks in a dialog and comes back to where it was', async () => {
    const page = await here.visit();
    await page.getByRole('button', { name: 'Pause' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Resume' }).waitFor();
    expect(await page.evaluate('document.activeElement.innerText')).toBe('Resume');
    await page.getByRole('link', { name: 'Add a table' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Follow one more table' }).waitFor();
    expect(await page.evaluate('document.activeElement.id')).toBe('table');
    await page.keyboard.press('Escape');
    await expect.poll(() => page.evaluate('document.activeElement.innerText')).toBe('Add a table');
  });

  it('keeps its place in the list of tables while numbers change', async () => {
    const page = await here.visit();
    await page.getByRole('link', { name: 'public.t3', exact: true }).focus();
    const counts = { insert: 77, update: 0, delete: 0, truncate: 0 };
    here.server.model.batchApplied({
      rows: 77,
      transactions: 1,
      durationMs: 1,
      perTable: [['public.t3', counts]],
      at: Date.now(),
    });
    await page.getByRole('cell', { name: '77', exact: true }).waitFor();
    expect(await page.evaluate('document.activeElement.innerText')).toBe('public.t3');
  });
});

it('announces the verdict only', async () => {
  const page = await here.visit();
  expect(await page.locator('[aria-live]').count()).toBe(1);
  expect(await page.locator('[aria-live=polite]').innerText()).toBe('streaming, 1 problem');
  expect(await page.getByRole('table').count()).toBe(1);
  expect(await page.getByRole('table', { name: /Followed tables, those in error first/ }).count()).toBe(1);
});
