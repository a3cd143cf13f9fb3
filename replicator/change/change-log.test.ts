import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../testing/eventually.ts';
import { ChangeLog } from './change-log.ts';
import { SpillSpace, type SpillOptions } from './spill-space.ts';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pgfollow-log-'));
});
afterAll(() => rm(directory, { recursive: true }));

function space(options: Partial<SpillOptions> = {}): SpillSpace {
  return new SpillSpace({ directory, maxBytes: 1 << 30, memoryBytes: 1 << 16, ...options });
}

/** Every record of a log, read in bites of so many bytes. */
async function records(log: ChangeLog, bite: number, from = 0): Promise<string[]> {
  const parts: Buffer[] = [];
  for (let at = from; ;) {
    const read = await log.read(at, bite);
    if (read.length === 0) break;
    at += read.length;
    parts.push(read);
  }
  const all = Buffer.concat(parts);
  const found: string[] = [];
  for (let at = 0; at < all.length; at += 4 + all.readInt32BE(at))
    found.push(all.toString('latin1', at + 4, at + 4 + all.readInt32BE(at)));
  return found;
}

function add(log: ChangeLog, text: string): void {
  const data = Buffer.from(`..${text}..`, 'latin1');
  log.add(data[2] ?? 0, data, 3, data.length - 2);
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ log: fc.nat(2), add: fc.nat(400) }) },
  { weight: 1, arbitrary: fc.record({ log: fc.nat(2), add: fc.integer({ min: 65_000, max: 140_000 }) }) },
  { weight: 2, arbitrary: fc.record({ log: fc.nat(2), cut: fc.nat(1000) }) },
  { weight: 2, arbitrary: fc.record({ log: fc.nat(2), read: fc.integer({ min: 1, max: 1 << 18 }) }) },
);

test('whatever is added to several logs and cut off again, what is read is what is left', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.constantFrom(0, 500, 1 << 17), async (steps, memoryBytes) => {
      const shared = space({ memoryBytes });
      const logs = Array.from({ length: 3 }, () => ({
        log: new ChangeLog(shared),
        model: [] as { at: number; text: string }[],
      }));
      let n = 0;
      for (const { log: which, ...what } of steps) {
        const { log, model } = logs[which] ?? logs[0]!;
        if ('add' in what) {
          const text = `${n++}`.padEnd(what.add + 1, 'x');
          model.push({ at: log.end, text });
          add(log, text);
        } else if ('cut' in what && model.length > 0) {
          const from = what.cut % model.length;
          log.cut(model[from]?.at ?? 0);
          model.splice(from);
        } else if ('read' in what) {
          const from = model[Math.floor(model.length / 2)]?.at ?? 0;
          const wanted = model.filter(({ at }) => at >= from).map(({ text }) => text);
          expect(await records(log, what.read, from)).toEqual(wanted);
        }
      }
      for (const { log, model } of logs) {
        expect(await records(log, 1000)).toEqual(model.map(({ text }) => text));
        log.close();
      }
      expect(shared.diskBytes).toBe(0);
      // What was on its way to a file still is.
      await eventually(() => expect(shared.memoryBytes).toBe(0), { interval: 1 });
    }),
    { numRuns: 300 },
  );
});

test('records about as large as a block of memory, and those cut off between them', async () => {
  for (const memoryBytes of [0, 1 << 30]) {
    const log = new ChangeLog(space({ memoryBytes }));
    const texts = Array.from({ length: 16 }, (_, i) => `${i}`.padEnd((1 << 16) - 10 + i, 'x'));
    for (const text of texts) {
      add(log, text);
      const end = log.end;
      add(log, 'y'.repeat(200_000));
      log.cut(end);
      add(log, 'z');
    }
    expect(await records(log, 100_000)).toEqual(texts.flatMap((text) => [text, 'z']));
    log.close();
  }
});

test('memory stays below its bound, the rest is on disk, and no file has a name', async () => {
  const shared = space({ memoryBytes: 100_000 });
  const [large, small] = [new ChangeLog(shared), new ChangeLog(shared)];
  add(small, 'small');
  for (let i = 0; i < 3000; i++) add(large, `${i}`.padEnd(1000));
  expect(large.memoryBytes + small.memoryBytes).toBeLessThanOrEqual(100_000);
  expect(small.memoryBytes).toBeGreaterThan(0);
  expect(shared.congested).toBe(true);
  await new Promise<void>((resolve) => {
    shared.onDrained = () => {
      if (!shared.congested) resolve();
    };
  });
  expect(await records(large, 4096)).toHaveLength(3000);
  expect(readdirSync(directory)).toEqual([]);
  expect(shared.diskBytes).toBeGreaterThan(2_900_000);
  large.close();
  expect(shared.diskBytes).toBe(0);
  expect(await records(small, 10)).toEqual(['small']);
});

test('no more room than it was given is taken, and what says so names the setting', () => {
  const shared = space({ memoryBytes: 1000, maxBytes: 5000 });
  const log = new ChangeLog(shared);
  const fill = (): void => {
    for (let i = 0; i < 20; i++) add(log, 'x'.repeat(500));
  };
  expect(fill).toThrow(
    expect.objectContaining({ code: 'SPILL_FAILED', retry: 'transient', message: expect.stringContaining('maxSpillBytes') }),
  );
  log.close();
});

test('a folder that cannot be written to is told to whoever adds next', async () => {
  const shared = space({ memoryBytes: 1000, directory: join(directory, 'missing') });
  const log = new ChangeLog(shared);
  const failed = new Promise<void>((resolve) => (shared.onDrained = resolve));
  for (let i = 0; i < 5; i++) add(log, 'x'.repeat(500));
  await failed;
  const told = expect.objectContaining({ code: 'SPILL_FAILED', message: expect.stringContaining('ENOENT') });
  expect(() => add(log, 'x')).toThrow(told);
  expect(() => shared.check()).toThrow(told);
  await expect(log.read(0, 10)).rejects.toEqual(told);
  log.close();
});
