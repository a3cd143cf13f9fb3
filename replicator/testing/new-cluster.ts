import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdtemp, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { serverBinaries } from '../embedded/binaries.ts';
import { guard } from '../embedded/guard.ts';
import { initialise } from '../embedded/initdb.ts';

/** Of every server that is made here, while this process runs. */
export const PASSWORD = randomBytes(16).toString('hex');

/** One data directory a version that nobody starts, for others to be copied from. */
const patterns = new Map<number, Promise<string>>();

/**
 * Makes a data directory as initdb does, which takes half a second of a processor: once a version, and then by copying. Each has an identity of
 * its own, as pgfollow tells servers apart by it. `within` is the folder for the first one.
 */
export async function newCluster(version: number, within: string, dataDir: string): Promise<void> {
  let pattern = patterns.get(version);
  if (!pattern) {
    pattern = makePattern(version, within);
    patterns.set(version, pattern);
  }
  await promisify(execFile)('cp', ['-a', await pattern, dataDir]);
  await identify(dataDir);
}

async function makePattern(version: number, within: string): Promise<string> {
  const binaries = await serverBinaries(version);
  const folder = await mkdtemp(join(within, `pgfollow-pattern${version}-`));
  guard({ remove: folder });
  if (binaries.user) await chown(folder, binaries.user.uid, binaries.user.gid);
  const dataDir = join(folder, 'data');
  await initialise({ binaries, dataDir, password: PASSWORD, signal: undefined });
  return dataDir;
}

/**
 * Gives a data directory that was never started another system identifier: the first eight bytes of pg_control, which end in a checksum of those
 * before, and of each segment of the WAL, after the header of its first page.
 * https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_control.h, …/access/xlog_internal.h
 */
async function identify(dataDir: string): Promise<void> {
  const control = await readFile(join(dataDir, 'global', 'pg_control'));
  let end = 8;
  while (end < control.length - 4 && crc32c(control.subarray(0, end)) !== control.readUInt32LE(end)) end += 4;
  // The upper half is the time, in seconds.
  const lower = randomBytes(4);
  await writeAt(join(dataDir, 'global', 'pg_control'), 0, lower);
  lower.copy(control);
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32c(control.subarray(0, end)));
  await writeAt(join(dataDir, 'global', 'pg_control'), end, sum);
  for (const name of await readdir(join(dataDir, 'pg_wal')))
    if (/^[0-9A-F]{24}$/.test(name)) await writeAt(join(dataDir, 'pg_wal', name), 24, lower);
}

async function writeAt(path: string, position: number, bytes: Buffer): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(bytes, 0, bytes.length, position);
  } finally {
    await file.close();
  }
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let sum = byte;
  for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0x82f63b78 : sum >>> 1;
  return sum;
});

/** Castagnoli's, as PostgreSQL has it. */
function crc32c(bytes: Buffer): number {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = (sum >>> 8) ^ (TABLE[(sum ^ byte) & 0xff] ?? 0);
  return (sum ^ 0xffffffff) >>> 0;
}
