import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, unlink, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Problem } from '../problem.ts';
import type { ChangeLog } from './change-log.ts';

export interface SpillOptions {
  /** Folder of the files; null chooses one, see spillDirectory(). */
  readonly directory: string | null;
  /** Most bytes in files, of all logs together. */
  readonly maxBytes: number;
  /** Most bytes in memory, of all logs together; beyond it the largest log goes to its file. */
  readonly memoryBytes: number;
}

/**
 * What the logs of one session share: their folder, and how much they may hold. A file has no name any more when the
 * first is written to it, so nothing is left once the process has ended, however that happens.
 */
export class SpillSpace {
  readonly #options: SpillOptions;
  readonly #directory: string;
  readonly #logs = new Set<ChangeLog>();
  #memory = 0;
  #disk = 0;
  #writing = 0;
  #failure: Problem | null = null;
  /** Called when what was to be written is written, or cannot be. */
  onDrained: () => void = () => {};

  constructor(options: SpillOptions) {
    this.#options = options;
    this.#directory = options.directory ?? spillDirectory();
  }

  /** Bytes that are held in memory, those on their way to a file among them. */
  get memoryBytes(): number {
    return this.#memory + this.#writing;
  }

  /** Bytes in files, or on their way there. */
  get diskBytes(): number {
    return this.#disk;
  }

  /** More is on its way to files than memory is meant for: whoever adds to logs should wait for onDrained. */
  get congested(): boolean {
    return this.#writing > this.#options.memoryBytes;
  }

  /** Throws why logs cannot be kept any more. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  enter(log: ChangeLog): void {
    this.#logs.add(log);
  }

  leave(log: ChangeLog): void {
    this.#logs.delete(log);
  }

  /** Ends every log that has not ended. */
  close(): void {
    for (const log of this.#logs) log.close();
  }

  /** A log's bytes in memory have changed by so many. Throws SPILL_FAILED when there is no room for more. */
  held(bytes: number): void {
    this.#memory += bytes;
    while (this.#memory > this.#options.memoryBytes) {
      let largest: ChangeLog | null = null;
      for (const log of this.#logs) if (!largest || log.memoryBytes > largest.memoryBytes) largest = log;
      if (!largest || largest.memoryBytes === 0) return;
      largest.spill();
    }
  }

  /** A log's bytes in its file have changed by so many. Throws SPILL_FAILED when these are too many. */
  kept(bytes: number): void {
    this.#disk += bytes;
    if (this.#disk <= this.#options.maxBytes) return;
    throw spillFailed(`they have reached apply.maxSpillBytes (${this.#options.maxBytes} bytes)`);
  }

  /** `bytes` are on their way to a file until `written` ends. */
  async writing(bytes: number, written: Promise<void>): Promise<void> {
    this.#writing += bytes;
    try {
      await written;
    } catch (error) {
      this.#failure ??= spillFailed(`writing to ${this.#directory} failed: ${(error as Error).message}`, error);
      throw this.#failure;
    } finally {
      this.#writing -= bytes;
      this.onDrained();
    }
  }

  async openFile(): Promise<FileHandle> {
    const path = join(this.#directory, `pgfollow-${process.pid}-${randomBytes(6).toString('hex')}.spill`);
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    return file;
  }
}

/** Where temporary files go that may become large: TMPDIR where that is set, else /var/tmp, which is on a disk. */
function spillDirectory(): string {
  return process.env['TMPDIR'] || !existsSync('/var/tmp') ? tmpdir() : '/var/tmp';
}

function spillFailed(why: string, cause?: unknown): Problem {
  return new Problem(
    'SPILL_FAILED',
    `The parts of transactions that are still in progress on the source cannot be kept on disk: ${why}.`,
    {
      retry: 'transient',
      cause,
      remedy:
        'Nothing is lost: the stream begins again, and the source keeps them until their commit. ' +
        'For another folder set apply.spillDirectory, for more room apply.maxSpillBytes; apply.streaming: off never keeps any here.',
    },
  );
}
