import { spawn } from 'node:child_process';

/** What must not outlive this process. */
export interface Guarded {
  /** A process to end with SIGQUIT: the immediate shutdown, where it is a postmaster. */
  readonly pid?: number | null;
  /** A folder to remove, after the process is gone. */
  readonly remove?: string | null;
}

/** Waits for a line (all is well) or the end of the file (the writer is gone, however it went). */
const SCRIPT = `
read -r released && exit 0
if [ -n "$1" ]; then
  kill -QUIT "$1"
  tries=0
  while kill -0 "$1" && [ "$tries" -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
fi
[ -z "$2" ] || rm -rf -- "$2"
`;

/**
 * Leaves a small shell behind that cleans up when this process ends, even by SIGKILL: it holds the
 * reading end of a pipe whose writing end only we have. Returns the release, after which it does nothing.
 */
export function guard({ pid, remove }: Guarded): () => void {
  if (process.platform === 'win32') return () => {};
  // A session of its own, so that a terminal's Ctrl-C reaches us but not the shell.
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'pgfollow-guard', String(pid ?? ''), remove ?? ''], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  // A pipe of a child process is a net.Socket; it must not keep us alive either.
  (shell.stdin as unknown as { unref(): void }).unref();
  return () => shell.stdin.end('released\n');
}
