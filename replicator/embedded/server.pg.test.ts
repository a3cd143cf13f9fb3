import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { chmod, chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import { ask } from '../testing/ask.ts';
import { eventually } from '../testing/eventually.ts';
import { serverBinaries, serverUser, stage } from './binaries.ts';
import { childrenOf, isRunning } from './processes.ts';
import { startServer } from './server.ts';

const FAST = { fsync: 'off', shared_buffers: '16MB' };

describe.each([18, 14])('PostgreSQL %i', (version) => {
  test('a crash loses nothing that was committed, and dispose leaves nothing behind', async () => {
    let folder: string;
    let processes: number[];
    {
      await using server = await startServer({ version, settings: FAST, database: 'app "x"' });
      expect(await ask(server.url(), 'SELECT current_database()')).toBe('app "x"');
      expect(await ask(server.url(), "SELECT current_setting('server_version_num')::int / 10000")).toBe(String(version));
      await ask(server.url(), "CREATE TABLE kept AS SELECT 'yes' AS a");
      const { port, pid } = server;

      await server.kill();
      expect(server.pid).toBeNull();
      expect(isRunning(pid ?? 0)).toBe(false);

      await server.start({ settings: { work_mem: '5MB' } });
      expect(server.logTail()).toContain('automatic recovery');
      expect(server.port).toBe(port);
      expect(await ask(server.url(), 'SELECT a FROM kept')).toBe('yes');

      await server.restart();
      expect(await ask(server.url(), 'SELECT a FROM kept')).toBe('yes');
      expect(await ask(server.url(), 'SHOW work_mem')).toBe('5MB');

      folder = dirname(server.dataDir);
      processes = [server.pid ?? 0, ...childrenOf(server.pid ?? 0)];
      expect(processes.length).toBeGreaterThan(3);
    }
    expect(processes.filter(isRunning)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  });
});

test('kill also ends a backend that is busy', async () => {
  await using server = await startServer({ settings: FAST });
  const busy = ask(server.url(), 'SELECT count(*) FROM generate_series(1, 1000000000)').catch(String);
  await eventually(
    async () =>
      (await ask(server.url(), "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%series%' AND state = 'active'")) === '2',
  );
  await server.kill();
  await server.start();
  expect(await busy).toMatch(/terminated|reset/i);
});

test('a data directory that was given stays, and takes its password with it', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'pgfollow-test-'));
  const user = serverUser();
  try {
    if (user) await chown(parent, user.uid, user.gid);
    const dataDir = join(parent, 'a', 'data');
    {
      await using server = await startServer({ dataDir, settings: FAST, password: 'sésame' });
      await ask(server.url(), 'CREATE TABLE kept (a int)');
    }
    {
      await using server = await startServer({ dataDir, settings: FAST, password: 'sésame' });
      expect(await ask(server.url(), 'SELECT count(*) FROM kept')).toBe('0');
      await expect(startServer({ dataDir, password: 'sésame' })).rejects.toThrow(/ended while starting[^]*postmaster\.pid/);
      expect(await ask(server.url(), 'SELECT 1')).toBe('1');
    }
    await expect(startServer({ dataDir, password: 'wrong' })).rejects.toThrow(
      /does not let us in[^]*password authentication failed/,
    );
    await expect(startServer({ dataDir, version: 14 })).rejects.toThrow('made by PostgreSQL 18, not 14');
  } finally {
    await rm(parent, { recursive: true });
  }
});

test('a server that cannot start says why, in its own words', async () => {
  await expect(startServer({ settings: { wal_level: 'nonsense' } })).rejects.toThrow(
    /ended while starting[^]*invalid value for parameter "wal_level"/,
  );
  await expect(startServer({ version: 9 })).rejects.toThrow('no PostgreSQL 9 binaries');
});

test('starting can be given up at any moment and leaves nothing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pgfollow-test-'));
  await chmod(folder, 0o755);
  vi.stubEnv('TMPDIR', folder);
  try {
    for (const moment of [0, 100, 300, 600]) {
      await startServer({ settings: FAST, signal: AbortSignal.timeout(moment) }).then(
        (server) => server[Symbol.asyncDispose](),
        (error: unknown) => expect(String(error)).toMatch(/abort/i),
      );
      expect(await readdir(folder)).toEqual([]);
    }
  } finally {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true });
  }
});

test('a server does not outlive its process, even after SIGKILL', async () => {
  // Node.js 20 does not run TypeScript by itself.
  const script = `
    import { runnerImport } from 'vite';
    const { module } = await runnerImport(${JSON.stringify(fileURLToPath(new URL('./server.ts', import.meta.url)))});
    const server = await module.startServer({ settings: { fsync: 'off' } });
    console.log(JSON.stringify({ pid: server.pid, folder: server.dataDir + '/..' }));
    setInterval(() => {}, 1000);
  `;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await new Promise<string>((done) => owner.stdout.once('data', (data) => done(String(data))));
  const { pid, folder } = JSON.parse(line) as { pid: number; folder: string };
  expect(isRunning(pid)).toBe(true);
  owner.kill('SIGKILL');
  await eventually(() => !isRunning(pid) && !existsSync(folder));
});

test('binaries can be staged for another user, with the links that npm cannot carry', async () => {
  const { postgres, user } = await serverBinaries();
  const native = dirname(dirname(postgres));
  const folder = await stage(native, user, [{ at: 'lib/libextra.so', to: 'libpq.so.5' }]);
  expect(await readdir(join(folder, 'lib'))).toEqual(
    expect.arrayContaining([...(await readdir(join(native, 'lib'))), 'libextra.so']),
  );
  expect(statSync(join(folder, 'lib/libextra.so')).size).toBeGreaterThan(100_000);
  expect(statSync(join(folder, 'bin/postgres')).size).toBe(statSync(postgres).size);
});
