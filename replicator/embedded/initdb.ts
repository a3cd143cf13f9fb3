import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { appendFile, chown, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Problem } from '../problem.ts';
import type { Binaries } from './binaries.ts';

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
  const { user, version } = binaries;
  // Under another name until it is complete, so that a directory with PG_VERSION is one that works.
  const unfinished = `${dataDir}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(dirname(dataDir), { recursive: true });
  await mkdir(unfinished, { mode: 0o700 });
  if (user) await chown(unfinished, user.uid, user.gid);
  if (user && spawnSync('/bin/sh', ['-c', '[ -w "$0" ]', unfinished], { ...user, cwd: '/' }).status !== 0) {
    throw new Problem('INTERNAL', `the user PostgreSQL is to run as (uid ${user.uid}) cannot reach ${dataDir}`, {
      remedy: 'PostgreSQL cannot run as root. Choose a folder that every user can enter, or start pgfollow as another user.',
    });
  }
  const passwordFile = `${dataDir}.password`;
  await rm(passwordFile, { force: true });
  await writeFile(passwordFile, password, { mode: 0o600, flag: 'wx' });
  try {
    if (user) await chown(passwordFile, user.uid, user.gid);
    // 17 brought a locale of its own that knows upper and lower case whatever the system has installed.
    const locale = version >= 17 ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : [];
    await promisify(execFile)(
      binaries.initdb,
      [
        '-D',
        unfinished,
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
      { ...user, cwd: unfinished, env: SERVER_ENVIRONMENT, ...(signal && { signal }) },
    );
    await appendFile(join(unfinished, 'postgresql.conf'), `\ninclude '${SETTINGS_FILE}'\n`);
    await rename(unfinished, dataDir);
  } catch (cause) {
    if (signal?.aborted) throw cause;
    const { stderr = '' } = cause as { stderr?: string };
    throw new Problem('INTERNAL', `initdb ${version} failed in ${dataDir}: ${stderr.trim() || String(cause)}`, {
      remedy: `Look whether there is room on ${dirname(dataDir)}, and what the message says.`,
      cause,
    });
  } finally {
    await rm(passwordFile, { force: true });
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
