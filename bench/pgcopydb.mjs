import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** As many as pgfollow and native replication have. */
const JOBS = 4;

/** `pgcopydb clone`, where it is installed: it copies once, schema and rows, with keys and indexes after them, and ends. */
export class Pgcopydb {
  name = 'pgcopydb';
  /** It follows nobody here. */
  slot = null;
  #source;
  #target;
  #folder = null;
  #child = null;
  #log = '';

  constructor({ source, target }) {
    this.#source = source;
    this.#target = target;
  }

  async prepare() {
    this.#folder = await mkdtemp(join(tmpdir(), 'pgcopydb-bench-'));
  }

  /** Returns when the process was started, ms since 1970: its program is small. */
  async start() {
    const startedAt = performance.timeOrigin + performance.now();
    const jobs = ['--table-jobs', String(JOBS), '--index-jobs', String(JOBS), '--split-tables-larger-than', '64 MB'];
    const child = spawn(
      'pgcopydb',
      ['clone', '--source', this.#source, '--target', this.#target, '--dir', this.#folder, '--restart', ...jobs],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text) => (this.#log = `${this.#log}${text}`.slice(-4000)));
    this.#child = child;
    await once(child, 'spawn');
    return startedAt;
  }

  async inStep() {
    if (this.#child.exitCode === null) return false;
    await this.check();
    return true;
  }

  async check() {
    if (this.#child.exitCode) throw new Error(`pgcopydb ended with ${this.#child.exitCode}: ${this.#log}`);
  }

  async usage() {
    return {};
  }

  async stop() {}

  async remove() {
    if (this.#child?.exitCode === null) {
      this.#child.kill('SIGTERM');
      await once(this.#child, 'exit');
    }
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true });
  }
}
