import { expect, test } from 'vitest';
import { startServer } from './server.ts';
test('smoke', async () => {
  const t = Date.now();
  await using s = await startServer({ settings: { fsync: 'off' }, database: 'app' });
  console.log(Date.now() - t, s.url(), s.dataDir);
  await s.kill();
  const u = Date.now();
  await s.start();
  console.log(Date.now() - u);
  expect(s.pid).not.toBe(null);
});
