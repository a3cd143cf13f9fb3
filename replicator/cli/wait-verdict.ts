import type { Status, TableState } from '../observe/status.ts';
import { formatLsn, tryParseLsn, type Lsn } from '../postgres/lsn.ts';

/** Whether everything up to an LSN is visible on the target, or what is missing, as a phrase. */
export type WaitVerdict = { readonly done: true } | { readonly done: false; readonly missing: string };

const UNFINISHED: readonly TableState[] = ['pending', 'copying', 'indexing', 'catching_up', 'error'];

/**
 * A starting pipeline knows its position before it knows its tables, so nothing it says is proof yet. Tables that are
 * being copied or in error do not show what the position promises.
 */
export function waitVerdict(status: Pick<Status, 'state' | 'position' | 'tables' | 'problems'>, wanted: Lsn): WaitVerdict {
  const missing: string[] = [];
  const applied = status.position.applied === null ? null : tryParseLsn(status.position.applied);
  if (applied === null || applied < wanted) {
    missing.push(`applied ${status.position.applied ?? 'nothing yet'}, wanted ${formatLsn(wanted)}`);
  }
  for (const state of UNFINISHED) {
    const count = status.tables[state];
    if (count > 0) missing.push(`${count} ${count === 1 ? 'table is' : 'tables are'} ${state === 'error' ? 'in error' : state}`);
  }
  if (status.state === 'starting') missing.push('the pipeline is starting');
  if (missing.length === 0) return { done: true };
  if (status.state === 'paused') missing.push('the pipeline is paused, `pgfollow resume` goes on');
  if (status.state === 'retrying' || status.state === 'failed') {
    const [first] = status.problems;
    missing.push(`the pipeline is ${status.state}${first ? `: ${first.message} ${first.remedy}` : ''}`);
  }
  return { done: false, missing: missing.join('; ').replace(/\.$/, '') };
}
