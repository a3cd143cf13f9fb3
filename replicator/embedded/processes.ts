import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Whether a process runs. A zombie does not: nobody may reap it where process 1 is no init. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return process.platform !== 'linux' || (statOf(pid)?.state ?? 'Z') !== 'Z';
}

/** The processes whose parent is `pid`. */
export function childrenOf(pid: number): number[] {
  if (process.platform === 'win32') return [];
  if (process.platform === 'linux') {
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .map(Number)
      .filter((child) => statOf(child)?.parent === pid);
  }
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  return stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([child, parent]) => (child !== undefined && parent === pid ? [child] : []));
}

/** Sends a signal; a process that is gone already is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Resolves to true once none of the processes runs, to false when the time (ms) is over before. */
export async function gone(pids: readonly number[], timeout: number): Promise<boolean> {
  const end = Date.now() + timeout;
  while (pids.some(isRunning)) {
    if (Date.now() > end) return false;
    await sleep(10);
  }
  return true;
}

/** https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: pid (comm) state ppid …; comm may hold spaces and brackets. */
function statOf(pid: number): { state: string; parent: number } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state = '', parent = ''] = text.slice(text.lastIndexOf(')') + 2).split(' ', 2);
    return { state, parent: Number(parent) };
  } catch {
    return null;
  }
}
