import type { FileHandle } from 'node:fs/promises';
import type { SpillSpace } from './spill-space.ts';

/** What a block in memory is made of; the data of a record that is larger is one as it lies. */
const BLOCK_BYTES = 1 << 16;
/** Before each record: int32 length of what follows. */
const LENGTH_BYTES = 4;
/** Length and code. */
const HEAD_BYTES = LENGTH_BYTES + 1;

/**
 * Records one after the other, in memory as long as there is room and behind that in a file. What was added can be cut
 * off again from a position on. Read at any position that a record begins at, as often as wanted, also while records
 * are added; who reads must not have read what is cut off.
 */
export class ChangeLog {
  readonly #space: SpillSpace;
  /** Filled, but the last one up to #fill only. */
  #blocks: Buffer[] = [];
  #fill = 0;
  /** What the blocks hold begins here; everything before is in the file, or on its way there. */
  #memoryStart = 0;
  #end = 0;
  #file: Promise<FileHandle> | null = null;
  #written: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(space: SpillSpace) {
    this.#space = space;
    space.enter(this);
  }

  /** Where the next record will begin. */
  get end(): number {
    return this.#end;
  }

  get memoryBytes(): number {
    return this.#end - this.#memoryStart;
  }

  /** Adds the record `code`, data[start, end), over which nobody may write. Throws SPILL_FAILED when there is no room. */
  add(code: number, data: Buffer, start: number, end: number): void {
    this.#space.check();
    const bytes = HEAD_BYTES + end - start;
    const large = bytes > BLOCK_BYTES;
    const block = this.#room(large ? HEAD_BYTES : bytes);
    const at = this.#fill;
    block.writeInt32BE(bytes - LENGTH_BYTES, at);
    block[at + LENGTH_BYTES] = code;
    this.#fill += HEAD_BYTES;
    if (large) this.#open(data.subarray(start, end), end - start);
    else this.#fill += data.copy(block, this.#fill, start, end);
    this.#end += bytes;
    this.#space.held(bytes);
  }

  /** Forgets everything from this position on, at which a record begins. */
  cut(position: number): void {
    if (position >= this.#end) return;
    if (position < this.#memoryStart) {
      this.#space.held(-this.memoryBytes);
      this.#space.kept(position - this.#memoryStart);
      this.#blocks = [];
      this.#fill = 0;
      this.#memoryStart = position;
      if (!this.#closed) this.#write(async (file) => file.truncate(position));
    } else {
      this.#space.held(position - this.#end);
      this.#keepInMemory(position - this.#memoryStart);
    }
    this.#end = position;
  }

  /** Moves what is in memory to the file. */
  spill(): void {
    const blocks = this.#filledBlocks();
    const bytes = this.memoryBytes;
    const position = this.#memoryStart;
    this.#blocks = [];
    this.#fill = 0;
    this.#memoryStart = this.#end;
    this.#space.held(-bytes);
    this.#write((file) => writeAll(file, blocks, position), bytes);
    this.#space.kept(bytes);
  }

  /** Some bytes from this position on, `most` or fewer; none at the end. What they hold stays as it is. */
  async read(position: number, most: number): Promise<Buffer> {
    if (position >= this.#memoryStart) return this.#copy(position, most);
    const wanted = Math.min(most, this.#memoryStart - position);
    await this.#written;
    const file = await this.#file;
    if (!file) return Buffer.alloc(0);
    const buffer = Buffer.allocUnsafeSlow(wanted);
    for (let done = 0; done < wanted;) {
      const { bytesRead } = await file.read(buffer, done, wanted - done, position + done);
      if (bytesRead === 0) throw new Error(`a spill file ends at ${position + done}, before ${position + wanted}`);
      done += bytesRead;
    }
    return buffer;
  }

  /** Gives back memory and disk. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.cut(0);
    this.#space.leave(this);
    void this.#written
      .catch(() => {})
      .then(async () => (await this.#file)?.close())
      .catch(() => {});
  }

  // One after the other, so that what was cut off is written over in the end.
  #write(work: (file: FileHandle) => Promise<void>, bytes = 0): void {
    this.#file ??= this.#space.openFile();
    const file = this.#file;
    this.#written = this.#space.writing(
      bytes,
      this.#written.then(async () => work(await file)),
    );
    // Whoever adds or reads next is told.
    this.#written.catch(() => {});
  }

  #room(bytes: number): Buffer {
    const last = this.#blocks.at(-1);
    if (last && last.length - this.#fill >= bytes) return last;
    return this.#open(Buffer.allocUnsafeSlow(BLOCK_BYTES), 0);
  }

  // The block before it takes no more.
  #open(block: Buffer, fill: number): Buffer {
    const last = this.#blocks.at(-1);
    if (last) this.#blocks[this.#blocks.length - 1] = last.subarray(0, this.#fill);
    this.#blocks.push(block);
    this.#fill = fill;
    return block;
  }

  #filledBlocks(): Buffer[] {
    return this.#blocks.map((block, i) => (i === this.#blocks.length - 1 ? block.subarray(0, this.#fill) : block));
  }

  #keepInMemory(bytes: number): void {
    const kept: Buffer[] = [];
    for (const block of this.#filledBlocks()) {
      if (bytes <= 0) break;
      kept.push(block.subarray(0, bytes));
      bytes -= block.length;
    }
    this.#blocks = kept;
    this.#fill = kept.at(-1)?.length ?? 0;
  }

  #copy(position: number, most: number): Buffer {
    const parts: Buffer[] = [];
    let at = this.#memoryStart;
    let left = most;
    for (const block of this.#filledBlocks()) {
      const from = Math.max(0, position - at);
      at += block.length;
      if (left <= 0 || from >= block.length) continue;
      const part = block.subarray(from, from + left);
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  }
}

async function writeAll(file: FileHandle, blocks: Buffer[], position: number): Promise<void> {
  for (const block of blocks) {
    for (let done = 0; done < block.length;) {
      const { bytesWritten } = await file.write(block, done, block.length - done, position + done);
      done += bytesWritten;
    }
    position += block.length;
  }
}
