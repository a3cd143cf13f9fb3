import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { appendFile, chown, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Problem } from '../problem.ts';
import type { Binaries, ServerUser } from './binaries.ts';
import { gone } from './processes.ts';

/** Settings are rewritten at each start, so they live in a file of their own beside postgresql.conf. */
const SETTINGS_FILE = 'pgfollow.conf';

/** What the server's processes get to see of our environment: above all no PG* variables, and no locale. */
export const SERVER_ENVIRONMENT = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' };

/** The major version a data directory was made for, or null when there is none yet. */
export function dataVersion(dataDir: string): number | null {
  const file = join(dataDir, 'PG_VERSION');
  return existsSync(file) ? Number.parseInt(readFileSync(file, 'utf8'), 10) : null;
}

/** Makes a new database cluster, UTF-8 in the C locale, with the superuser `postgres` and password authentication. */
export async function initialise(options: {
  binaries: Binaries;
  dataDir: string;
  password: string;
  signal: AbortSignal | undefined;
}): Promise<void> {
  const { binaries, dataDir, password, signal } = options;
  const { user } = binaries;
  // Under another name until it is complete, so that a directory with PG_VERSION is one that works.
  const unfinished = `${dataDir}.unfinished`;
  const passwordFile = `${dataDir}.password`;
  const removeLeftovers = async () => {
    await rm(passwordFile, { force: true });
    await rm(unfinished, { recursive: true, force: true, maxRetries: 3 });
  };
  await removeLeftovers();
  try {
    await mkdir(dirname(dataDir), { recursive: true });
    await mkdir(unfinished, { mode: 0o700 });
    await writeFile(passwordFile, password, { mode: 0o600, flag: 'wx' });
    if (user) {
      await chown(unfinished, user.uid, user.gid);
      await chown(passwordFile, user.uid, user.gid);
      checkReach(user, unfinished);
    }
    await runInitdb({ binaries, dataDir: unfinished, passwordFile, signal });
    await appendFile(join(unfinished, 'postgresql.conf'), `\ninclude '${SETTINGS_FILE}'\n`);
    await rename(unfinished, dataDir);
  } finally {
    await removeLeftovers();
  }
}

function checkReach(user: ServerUser, folder: string): void {
  const { status } = spawnSync('/bin/sh', ['-c', '[ -w "$0" ]', folder], { ...user, cwd: '/' });
  if (status === 0) return;
  throw new Problem('INTERNAL', `the user PostgreSQL is to run as (uid ${user.uid}) cannot reach ${dirname(folder)}`, {
    remedy: 'PostgreSQL cannot run as root. Choose a folder that every user can enter, or start pgfollow as another user.',
  });
}

async function runInitdb(options: {
  binaries: Binaries;
  dataDir: string;
  passwordFile: string;
  signal: AbortSignal | undefined;
}): Promise<void> {
  const { binaries, dataDir, passwordFile, signal } = options;
  const { version, initdb, user } = binaries;
  // 17 brought a locale of its own that knows upper and lower case whatever the system has installed.
  const locale = version >= 17 ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : [];
  const running = promisify(execFile)(
    initdb,
    [
      '-D',
      dataDir,
      '-U',
      'postgres',
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '-E',
      'UTF8',
      '--locale=C',
      ...locale,
      '--no-sync',
    ],
    { ...user, cwd: dataDir, env: SERVER_ENVIRONMENT, ...(signal && { signal }) },
  );
  try {
    await running;
  } catch (cause) {
    if (signal?.aborted) {
      // It was told to end and tidies up: nobody may remove its folder before it is gone.
      if (running.child.pid !== undefined) await gone([running.child.pid], 10_000);
      throw cause;
    }
    const { stderr = '' } = cause as { stderr?: string };
    throw new Problem('INTERNAL', `initdb ${version} failed in ${dataDir}: ${stderr.trim() || String(cause)}`, {
      remedy: `Look whether there is room on ${dirname(dataDir)}, and what the message says.`,
      cause,
    });
  }
}

/** Writes the settings that the next start reads. */
export async function writeSettings(
  binaries: Binaries,
  dataDir: string,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  const lines = Object.entries(settings).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''").replaceAll('\\', '\\\\')}'\n`,
  );
  const file = join(dataDir, SETTINGS_FILE);
  await writeFile(file, lines.join(''), { mode: 0o600 });
  if (binaries.user) await chown(file, binaries.user.uid, binaries.user.gid);
}
