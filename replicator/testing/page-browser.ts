import sparticuz from '@sparticuz/chromium';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { serve } from './http-harness.ts';
import type { Harness } from './http-harness.ts';

/** A browser and, for each test, a server of its own. What a visitor should never see fails the test. */
export interface PageBrowser {
  readonly server: Harness;
  /** Opens a page of the server; errors on its console and requests that leave for elsewhere are complaints. */
  visit(options?: BrowserContextOptions & { path?: string }): Promise<Page>;
  /** Ends the server; restart() begins another. */
  stop(): Promise<void>;
  /** In place of the server that the test began with. */
  restart(options?: Parameters<typeof serve>[0]): Promise<Harness>;
  /** Answers of these kinds are meant, however the browser reports them. */
  expecting(...texts: string[]): void;
}

/** A browser that came with npm. */
export async function launchBrowser(): Promise<Browser> {
  const args = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'];
  return await chromium.launch({ executablePath: await sparticuz.executablePath(), args, headless: true });
}

/** For use at the top of a test file: it registers what has to be done before and after. */
export function pageBrowser(): PageBrowser {
  let browser: Browser;
  let server: Harness;
  let running = true;
  let complaints: string[] = [];
  let expected: string[] = [];

  beforeAll(async () => {
    browser = await launchBrowser();
  }, 120_000);
  afterAll(() => browser.close());
  beforeEach(async () => {
    complaints = [];
    expected = [];
    running = true;
    server = await serve();
  });
  afterEach(async () => {
    await Promise.all(browser.contexts().map((context) => context.close()));
    if (running) await server.close();
    expect(complaints.filter((complaint) => !expected.some((text) => complaint.includes(text)))).toEqual([]);
  });

  return {
    get server() {
      return server;
    },
    async visit({ path = '/', ...options } = {}) {
      const page = await (await browser.newContext(options)).newPage();
      page.on('console', (message) => {
        if (message.type() === 'error') complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('request', (request) => {
        if (!request.url().startsWith(server.address)) complaints.push(`request to ${request.url()}`);
      });
      await page.goto(`${server.address}${path}`);
      return page;
    },
    async stop() {
      await server.close();
      running = false;
    },
    async restart(options) {
      if (running) await server.close();
      running = true;
      server = await serve(options);
      return server;
    },
    expecting(...texts) {
      expected.push(...texts);
    },
  };
}
