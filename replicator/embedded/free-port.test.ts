import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { freePort } from './free-port.ts';

test('a port that can be listened on, and that no outgoing connection is given', async () => {
  const port = await freePort();
  expect(port).toBeLessThan(32_768);
  await new Promise<void>((listening, failed) => {
    const server = createServer().once('error', failed);
    server.listen(port, '127.0.0.1', () => server.close(() => listening()));
  });
});
