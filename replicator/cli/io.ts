/** Where a command writes; process.stdout and process.stderr fit. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

export type SignalName = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** Everything a command needs of the process, so that tests can stand in for it. Data goes to stdout, messages to stderr. */
export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Asks on the terminal; null where nobody is there to answer. */
  readonly ask: ((question: string) => Promise<string>) | null;
  /** Calls back for every key that is pressed, until the returned function is called; null where nobody can press one. */
  readonly onKey: ((handler: (key: string) => void) => () => void) | null;
  /** Calls back for every signal that asks us to stop, until the returned function is called. */
  onSignal(handler: (name: SignalName) => void): () => void;
}

const SIGNALS: readonly SignalName[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** The real process. */
export function processIo(): Io {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    ask: process.stdin.isTTY && process.stderr.isTTY ? askOnTerminal : null,
    onKey: process.stdin.isTTY && process.stdout.isTTY ? onTerminalKey : null,
    onSignal(handler) {
      for (const name of SIGNALS) process.on(name, handler);
      return () => {
        for (const name of SIGNALS) process.off(name, handler);
      };
    },
  };
}

const CTRL_C = '\u0003';

// Without echo and without waiting for a line; Ctrl-C is a key then.
function onTerminalKey(handler: (key: string) => void): () => void {
  const { stdin } = process;
  const heard = (bytes: Buffer): void => {
    for (const key of bytes.toString('utf8')) handler(key);
  };
  stdin.setRawMode(true);
  stdin.resume().on('data', heard);
  return () => {
    stdin.off('data', heard).pause();
    stdin.setRawMode(false);
  };
}

/** An AbortSignal that q, Ctrl-C or a signal aborts. */
export function untilQuit(io: Io): { signal: AbortSignal; [Symbol.dispose](): void } {
  const controller = new AbortController();
  const noSignal = io.onSignal(() => controller.abort());
  const noKey = io.onKey?.((key) => {
    if (key === 'q' || key === 'Q' || key === CTRL_C) controller.abort();
  });
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      noSignal();
      noKey?.();
    },
  };
}

/** An AbortSignal that the first SIGINT, SIGTERM or SIGHUP aborts. */
export function interruption(io: Io): { signal: AbortSignal; [Symbol.dispose](): void } {
  const controller = new AbortController();
  const stop = io.onSignal(() => controller.abort());
  return { signal: controller.signal, [Symbol.dispose]: stop };
}

/** Resolves after some time, or at once when the signal aborts. Never rejects. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}

async function askOnTerminal(question: string): Promise<string> {
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-C and Ctrl-D are a no.
  const closed = new Promise<string>((resolve) => {
    terminal.once('close', () => resolve(''));
  });
  try {
    return await Promise.race([terminal.question(question), closed]);
  } finally {
    terminal.close();
  }
}
