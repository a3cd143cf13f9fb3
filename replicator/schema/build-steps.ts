import type { Client } from 'pg';
import type { RelationName } from '../catalog/relation.ts';
import { storePart } from '../metadata/created-tables.ts';
import { nameEventTrigger } from '../postgres/event-triggers.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { describeError, isTransient, sqlState } from '../postgres/sqlstate.ts';
import type { Step, TablePlan } from './step.ts';

/** Something that the target does not take, or that cannot be: it is written down, and the table goes without. */
export interface Refusal {
  readonly part: string;
  readonly isKey: boolean;
  readonly reason: string;
  /** What was tried. */
  readonly sql: readonly string[];
}

export interface BuildOptions {
  readonly pipeline: string;
  /** Runs the work on a connection to the target of its own; how many there are at a time is its affair. */
  readonly use: <T>(work: (target: Client) => Promise<T>) => Promise<T>;
}

/**
 * Makes what a table gets after its rows: steps that do not wait for each other side by side, each in a transaction with
 * the note that it is done, so that after a crash only the rest is made. Then ANALYZE. Resolves with what was refused;
 * a refused key is not written down, so that it is tried again. Throws what ends a connection, and what passes by itself.
 */
export async function buildAfterData(plan: TablePlan, options: BuildOptions): Promise<Refusal[]> {
  const { target } = plan.mapping;
  const refusals: Refusal[] = plan.impossible.map((each) => ({ ...each, isKey: false, sql: [] }));
  for (const { part, reason } of refusals)
    await options.use((client) => storePart(client, options.pipeline, target, { part, refused: reason }));
  const running = new Map<string, Promise<void>>();
  const run = async (step: Step): Promise<void> => {
    for (const part of step.after) await running.get(part);
    const reason = await options.use((client) => runStep(client, step, target, options.pipeline));
    if (reason !== null) refusals.push({ part: step.part, isKey: step.isKey, reason, sql: step.sql });
  };
  for (const step of inTurn(plan.steps)) running.set(step.part, run(step));
  const outcomes = await Promise.allSettled(running.values());
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
  await options.use((client) => analyze(client, target));
  return refusals;
}

/** Null when it is done, else why not. */
export async function runStep(client: Client, step: Step, table: RelationName, pipeline: string): Promise<string | null> {
  try {
    await client.query(['BEGIN', ...step.sql].join(';\n'));
    await storePart(client, pipeline, table, { part: step.part, refused: null });
    await client.query('COMMIT');
    return null;
  } catch (error) {
    if (sqlState(error) === null || isTransient(error)) throw error;
    await client.query('ROLLBACK');
    await nameEventTrigger(client, 'target', error);
    const reason = describeError(error);
    if (!step.isKey) await storePart(client, pipeline, table, { part: step.part, refused: reason });
    return reason;
  }
}

// The rows are in: statistics that cannot be had (an index over a function that fails) change nothing about that.
async function analyze(client: Client, table: RelationName): Promise<void> {
  await client.query(`ANALYZE ${quoteRelation(table)}`).catch((error: unknown) => {
    if (sqlState(error) === null || isTransient(error)) throw error;
  });
}

/** In an order in which each step comes behind those that it waits for. */
export function inTurn(steps: readonly Step[]): Step[] {
  const byPart = new Map(steps.map((step) => [step.part, step]));
  const ordered = new Set<Step>();
  const visit = (step: Step): void => {
    if (ordered.has(step)) return;
    for (const part of step.after) {
      const before = byPart.get(part);
      if (before) visit(before);
    }
    ordered.add(step);
  };
  for (const step of steps) visit(step);
  return [...ordered];
}
