import { Problem } from '../problem.ts';
import type { Io } from './io.ts';

/** What a command ends with. README and CONTRACT list them. */
export const EXIT = { done: 0, failure: 1, usage: 2, findings: 3, timeout: 4 } as const;

/** Ends a command with a message and what to do about it. */
export class Failure extends Error {
  readonly remedy: string;
  readonly exitCode: number;

  constructor(message: string, options: { remedy: string; exitCode?: number; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Failure';
    this.remedy = options.remedy;
    this.exitCode = options.exitCode ?? EXIT.failure;
  }
}

/** The command line cannot be understood. */
export class UsageError extends Failure {
  constructor(message: string, command: string | null) {
    const help = command === null ? 'pgfollow --help' : `pgfollow ${command} --help`;
    super(message, { remedy: `\`${help}\` shows what can be said.`, exitCode: EXIT.usage });
    this.name = 'UsageError';
  }
}

/** Writes what went wrong to stderr and gives the exit code. */
export function reportFailure(error: unknown, io: Io): number {
  if (error instanceof Failure) {
    io.stderr.write(`pgfollow: ${error.message}\n${error.remedy}\n`);
    return error.exitCode;
  }
  if (error instanceof Problem) {
    io.stderr.write(`pgfollow: ${error.message}\n${error.remedy}\n`);
    return error.code === 'CONFIG_INVALID' ? EXIT.usage : EXIT.failure;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  io.stderr.write(`pgfollow: a fault in pgfollow itself; please report it with these lines.\n${text}\n`);
  return EXIT.failure;
}
