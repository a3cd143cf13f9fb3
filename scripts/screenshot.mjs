// Takes the picture in the README of a demo that has been running for some minutes:
//   node scripts/screenshot.mjs [http://127.0.0.1:5884]
import { fileURLToPath } from 'node:url';
import sparticuz from '@sparticuz/chromium';
import { chromium } from 'playwright-core';

const url = process.argv[2] ?? 'http://127.0.0.1:5884';
const path = fileURLToPath(new URL('../docs/status-page.png', import.meta.url));

const args = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'];
const browser = await chromium.launch({ executablePath: await sparticuz.executablePath(), args, headless: true });
try {
  // As high as verdict, flow, curves and tables of the demo.
  const page = await browser.newPage({ viewport: { width: 1280, height: 1084 }, colorScheme: 'light' });
  await page.goto(url);
  await page.getByText('live', { exact: true }).waitFor();
  await page.getByRole('heading', { name: /^Streaming\./ }).waitFor();
  await page.waitForTimeout(2000);
  await page.screenshot({ path });
} finally {
  await browser.close();
}
