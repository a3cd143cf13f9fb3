import { expect } from 'vitest';
import type { StatusProblem } from '../observe/status.ts';
import { compareTables } from './compare.ts';
import type { TestDatabases } from './databases.ts';
import { eventually } from './eventually.ts';
import type { RunningPipeline } from './run-pipeline.ts';

/**
 * Until both sides are the same, which may take a copy that begins a moment later; then nothing is in anybody's way. `also` must hold
 * by then, and throws until it does.
 */
export async function becomesEqual(
  db: TestDatabases,
  running: RunningPipeline,
  { also = () => {}, timeout = 30_000 }: { also?: () => void; timeout?: number } = {},
): Promise<void> {
  await eventually(
    async () => {
      also();
      await running.caughtUp();
      await compareTables(db.source, db.target);
    },
    { timeout },
  );
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
}

/** Until a problem of this code is shown. */
export function becomesProblem({ pipeline }: RunningPipeline, code: string): Promise<StatusProblem> {
  return eventually(() => pipeline.model.status().problems.find((each) => each.code === code) ?? false);
}
