import { afterAll, beforeAll, expect } from 'vitest';
import { quoteIdent } from '../postgres/quote.ts';
import type { TableStatus } from '../observe/status.ts';
import { compareTables, type TableNames } from './compare.ts';
import { testDatabases, value, type Row, type TestDatabase, type TestDatabases } from './databases.ts';
import { eventually } from './eventually.ts';
import { startPipeline, type RunningPipeline } from './run-pipeline.ts';
import { TEST_VERSION } from './servers.ts';

/** One shape of tables and data: what is there before the copy, and what happens to it then. */
export interface Shape {
  /** What it shows. */
  readonly name: string;
  /** Run on both sides, in a schema of the shape's own; so is everything below. */
  readonly ddl?: string;
  /** DDL of one side alone. */
  readonly source?: string;
  readonly target?: string;
  /** Rows of the source before the copy. */
  readonly rows?: string;
  /** Each a simple query on the source: one transaction, unless it says otherwise itself. */
  readonly changes: readonly string[];
  /** Tables that differ between the sides; without, all tables of the shape are compared, column by column; [] for none. */
  readonly tables?: readonly (Omit<TableNames, 'source' | 'target'> & { source: string; target?: string })[];
  /** Entries of tables.map; names without schema. */
  readonly map?: readonly { from: string; to?: string; columns?: object; where?: string }[];
  /** What both sides must answer alike at the end, besides the tables' rows. */
  readonly sameAnswer?: string;
  /** What the target must answer at the end. */
  readonly targetAnswer?: { readonly query: string; readonly gives: readonly Row[] };
  /** Conflicts that belong to it, in all its tables together. */
  readonly conflicts?: Partial<TableStatus['conflicts']>;
  /** Oldest major version of PostgreSQL that knows it. */
  readonly since?: number;
}

/** How the shapes are played. */
export interface Staging {
  /** Fresh ones on the shared servers unless given. */
  readonly databases?: () => Promise<TestDatabases>;
  /** Configuration beyond the shapes' own. */
  readonly settings?: Record<string, unknown>;
  /** Pause while all changes are made, so that they arrive in few large batches. */
  readonly gathered?: boolean;
  /** Run on both sides before anything else, in schema public. */
  readonly before?: readonly string[];
  /** The stream's format; told from START_REPLICATION. */
  readonly format: 'binary' | 'text';
}

/** Shapes on the stage: played before the first test of the suite, taken down after the last. */
export interface Stage {
  readonly db: TestDatabases;
  readonly running: RunningPipeline;
  /** Throws when the shape differed after the copy or after the changes, or had conflicts that it should not have. */
  expectSame(shape: Shape): Promise<void>;
}

/** Shapes that this version of PostgreSQL knows. */
export function known(shapes: readonly Shape[]): Shape[] {
  return shapes.filter(({ since = 0 }) => TEST_VERSION >= since);
}

/**
 * Registers beforeAll and afterAll for the suite: all shapes in one database and one pipeline, each in a schema of its own, so
 * that a test can look at one of them alone.
 */
export function stageShapes(shapes: readonly Shape[], staging: Staging): Stage {
  const stage = new Play(shapes, staging);
  beforeAll(() => stage.play());
  afterAll(() => stage.close());
  return stage;
}

export function schemaOf(shape: Shape): string {
  return shape.name
    .replaceAll(/[^a-z0-9]+/gi, '_')
    .slice(0, 60)
    .toLowerCase();
}

const DECOYS = Array.from({ length: 7 }, (_, i) => `CREATE TYPE public.decoy_${i} AS ENUM ('so')`).join('; ');

class Play implements Stage {
  readonly #shapes: readonly Shape[];
  readonly #staging: Staging;
  readonly #afterCopy = new Map<Shape, string>();
  #db: TestDatabases | null = null;
  #running: RunningPipeline | null = null;
  #format = '';

  constructor(shapes: readonly Shape[], staging: Staging) {
    this.#shapes = shapes;
    this.#staging = staging;
  }

  get db(): TestDatabases {
    if (!this.#db) throw new Error('not on stage');
    return this.#db;
  }

  get running(): RunningPipeline {
    if (!this.#running) throw new Error('not on stage');
    return this.#running;
  }

  async play(): Promise<void> {
    this.#db = await (this.#staging.databases ?? testDatabases)();
    const { source, target } = this.db;
    // What is made by both sides alike has other OIDs all the same.
    await source.query(DECOYS);
    for (const statement of this.#staging.before ?? []) for (const side of [source, target]) await side.query(statement);
    for (const shape of this.#shapes) {
      await this.#in(shape, source, [shape.ddl, shape.source, shape.rows]);
      await this.#in(shape, target, [shape.ddl, shape.target]);
    }
    const map = this.#shapes.flatMap((shape) =>
      (shape.map ?? []).map(({ from, to = from, ...rest }) => ({
        from: `${schemaOf(shape)}.${from}`,
        to: `${schemaOf(shape)}.${to}`,
        ...rest,
      })),
    );
    this.#running = startPipeline(this.db, { ...this.#staging.settings, tables: { map } });
    await this.running.caughtUp();
    for (const shape of this.#shapes) {
      const difference = await this.#difference(shape);
      if (difference) this.#afterCopy.set(shape, difference);
    }
    this.#format = await eventually(async () => {
      const query = await value(
        source,
        `SELECT query FROM pg_stat_activity WHERE backend_type = 'walsender' AND datname = current_database()`,
      );
      return query?.startsWith('START_REPLICATION') ? query : false;
    });
    const { controls } = this.running.pipeline;
    if (this.#staging.gathered) await controls.pause('the test');
    for (const shape of this.#shapes) for (const change of shape.changes) await this.#in(shape, source, [change]);
    if (this.#staging.gathered) await controls.resume('the test');
    await this.running.caughtUp();
  }

  async close(): Promise<void> {
    await this.#running?.stop();
    await this.#db?.[Symbol.asyncDispose]();
  }

  async expectSame(shape: Shape): Promise<void> {
    expect(this.#format.includes(`binary 'true'`) ? 'binary' : 'text').toBe(this.#staging.format);
    expect(this.#afterCopy.get(shape) ?? 'the same after the copy').toBe('the same after the copy');
    const { source, target } = this.db;
    expect((await this.#difference(shape)) ?? 'the same').toBe('the same');
    if (shape.sameAnswer)
      expect(await this.#in(shape, target, [shape.sameAnswer])).toEqual(await this.#in(shape, source, [shape.sameAnswer]));
    if (shape.targetAnswer) expect(await this.#in(shape, target, [shape.targetAnswer.query])).toEqual(shape.targetAnswer.gives);
    const tables = this.running.pipeline.model.tables().filter((table) => table.source.startsWith(`${schemaOf(shape)}.`));
    expect(tables.filter((table) => table.state !== 'streaming')).toEqual([]);
    const conflicts = { insertExists: 0, updateMissing: 0, deleteMissing: 0 };
    for (const table of tables)
      for (const kind of Object.keys(conflicts) as (keyof typeof conflicts)[]) conflicts[kind] += table.conflicts[kind];
    expect(conflicts).toEqual({ insertExists: 0, updateMissing: 0, deleteMissing: 0, ...shape.conflicts });
    const applied = tables.flatMap((table) => Object.values(table.applied)).reduce((sum, count) => sum + count, 0);
    if (shape.changes.length > 0) expect(applied, 'changes that came by the stream').toBeGreaterThan(0);
  }

  async #in(shape: Shape, database: TestDatabase, statements: readonly (string | undefined)[]): Promise<Row[]> {
    const schema = quoteIdent(schemaOf(shape));
    await database.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
    await database.query(`SET search_path = ${schema}, public`);
    let rows: Row[] = [];
    for (const statement of statements) {
      if (!statement) continue;
      try {
        rows = await database.query(statement);
      } catch (error) {
        throw new Error(`${shape.name}: ${statement.slice(0, 500)}: ${String(error)}`, { cause: error });
      }
    }
    return rows;
  }

  async #difference(shape: Shape): Promise<string | null> {
    const { source, target } = this.db;
    const schema = schemaOf(shape);
    const tables = shape.tables?.map(({ source: from, target: to = from, ...rest }) => ({
      source: `${schema}.${from}`,
      target: `${schema}.${to}`,
      ...rest,
    }));
    if (tables?.length === 0) return null;
    const all = await source.query(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = '${schema}'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition`,
    );
    try {
      await compareTables(
        source,
        target,
        ...(tables ?? all.map(({ name }) => ({ source: `${schema}.${name}`, target: `${schema}.${name}` }))),
      );
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  }
}
