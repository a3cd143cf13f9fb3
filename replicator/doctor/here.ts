import { statfsSync, statSync } from 'node:fs';
import type { Client } from 'pg';
import type { Config } from '../config/schema.ts';
import { complaint, fine, type Finding } from '../finding.ts';
import { passwordFile } from '../postgres/password-file.ts';

const GB = 1024 ** 3;

/** Pure: what the configuration allows that may not be meant. */
export function classifyConfig({ name, http }: Config): Finding[] {
  const findings = [fine('config', 'CONFIG', `The configuration of pipeline ${name} is complete and valid.`)];
  if (http.insecure && !/^(127\.|localhost$|::1$|\[::1\]$)/.test(http.host)) {
    findings.push(
      complaint('warning', 'config', 'HTTP_OPEN', {
        message: `Whoever reaches ${http.host}:${http.port} may pause the pipeline and change its tables: http.insecure is true.`,
        remedy: 'Set http.token (PGFOLLOW_API_TOKEN), or http.host to 127.0.0.1.',
      }),
    );
  }
  return findings;
}

/** The password files that would be read. One that nobody named need not be there. */
export function examinePasswordFiles({ source, target }: Config): Finding[] {
  const named = [source.url, target.url].map((url) => new URLSearchParams(url.split('?')[1] ?? '').get('passfile'));
  const files = new Set(named.map((file) => file ?? passwordFile()));
  return [...files].flatMap((file) => {
    if (file === null) return [];
    const stat = statSync(file, { throwIfNoEntry: false });
    const mustBe = named.includes(file) || Boolean(process.env['PGPASSFILE']);
    return stat || mustBe ? classifyPasswordFile(file, stat ? stat.mode : null) : [];
  });
}

/** Pure. `mode`: of the file, null where there is none. */
export function classifyPasswordFile(file: string, mode: number | null): Finding[] {
  if (mode !== null && (mode & 0o077) === 0) return [fine('config', 'PASSWORD_FILE', `Only its owner may read ${file}.`)];
  return [
    complaint('warning', 'config', 'PASSWORD_FILE', {
      message: mode === null ? `The password file ${file} does not exist.` : `Others may read ${file}, so it is not used.`,
      remedy: mode === null ? 'Correct PGPASSFILE, or passfile in the URL.' : `chmod 600 ${file}`,
    }),
  ];
}

/**
 * Room for what is to be copied, where the target is this machine and tells where its files are. Nothing to say otherwise:
 * PostgreSQL does not know how full its disk is.
 */
export async function examineDisk(target: Client, needed: number, local: boolean): Promise<Finding[]> {
  if (!local || needed === 0) return [];
  const { rows } = await target.query<{ folder: string | null }>(
    `SELECT pg_catalog.current_setting('data_directory') AS folder
      WHERE pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE')`,
  );
  const folder = rows[0]?.folder;
  if (!folder) return [];
  try {
    const { bavail, bsize } = statfsSync(folder);
    return classifyDisk(needed, bavail * bsize);
  } catch {
    // In a container, or behind a tunnel.
    return [];
  }
}

/** Pure. Indexes and WAL want about as much again. */
export function classifyDisk(needed: number, free: number): Finding[] {
  const text = `${gigabytes(free)} are free on the disk of the target, the tables to copy have ${gigabytes(needed)}`;
  if (free >= needed * 2) return [fine('target', 'DISK', `${text}.`)];
  return [
    complaint(free < needed ? 'error' : 'warning', 'target', 'DISK', {
      message: `${text}: with indexes and WAL that is too little.`,
      remedy: 'Make room on the disk of the target, or follow fewer tables (tables.exclude).',
    }),
  ];
}

function gigabytes(bytes: number): string {
  return `${(bytes / GB).toFixed(1)} GB`;
}
