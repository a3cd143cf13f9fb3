import type { TestDatabases } from './databases.ts';
import { eventually } from './eventually.ts';
import type { RunningPipeline } from './run-pipeline.ts';

/** Resolves once everything that was created on the target has its indexes, constraints and foreign keys. */
export async function complete({ pipeline }: RunningPipeline, db: TestDatabases, timeout = 30_000): Promise<void> {
  await eventually(
    async () => {
      const open = await db.target.query(
        'SELECT target_schema, target_table FROM pgfollow.created_table WHERE linked_at IS NULL',
      );
      if (open.length > 0) throw new Error(`not complete: ${JSON.stringify([open, pipeline.model.status().problems])}`);
    },
    { timeout },
  );
}
