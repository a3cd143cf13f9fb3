import type { StatementPipe } from '../postgres/statement-pipe.ts';
import { COLUMN, type Tuple } from '../pgoutput/messages.ts';
import { Problem, unreachable } from '../problem.ts';
import { NullPatterns } from './null-patterns.ts';
import type { PlannedChange } from './plan.ts';
import type { PlannerSettings } from './planner-settings.ts';
import type { Prepared, PreparedStatements } from './prepared-statements.ts';
import type { MappedColumn, RowMap } from './row-map.ts';
import {
  deleteStatement,
  insertStatement,
  updateStatement,
  type OnConflict,
  type OnMissing,
  type Statement,
} from './statements.ts';
import { kindAt, locateColumns, newOffsets, writeParameter } from './tuple.ts';

/**
 * Writes changes into a pipe as prepared statements, one a row, in source order: what the source accepted in that
 * order the target accepts too. Statements are prepared once a session for each table, operation and set of columns.
 */
export class OrderedReplay {
  readonly #onConflict: OnConflict;
  readonly #onMissing: OnMissing;
  readonly #planner: PlannerSettings;
  readonly #prepared: PreparedStatements<Statement>;
  readonly #patterns = new NullPatterns();
  readonly #rowOffsets = newOffsets();
  readonly #oldOffsets = newOffsets();

  constructor(options: {
    onConflict: OnConflict;
    onMissing: OnMissing;
    planner: PlannerSettings;
    prepared: PreparedStatements<Statement>;
  }) {
    this.#onConflict = options.onConflict;
    this.#onMissing = options.onMissing;
    this.#planner = options.planner;
    this.#prepared = options.prepared;
  }

  /** Writes one change; returns the statement, whose answer tells of misses. */
  write(pipe: StatementPipe, { change, map }: PlannedChange): Statement {
    if (change.kind !== 'insert') this.#planner.prefer(pipe, map.find.by === 'key' ? 'key' : 'either');
    switch (change.kind) {
      case 'insert': {
        locateColumns(change.row, this.#rowOffsets);
        const prepared = this.#prepared.of(pipe, map, 'i', () => insertStatement(map, this.#onConflict));
        return this.#execute(pipe, prepared, change.row, change.row);
      }
      case 'update': {
        locateColumns(change.row, this.#rowOffsets);
        const old = change.old?.tuple ?? change.row;
        if (change.old) locateColumns(old, this.#oldOffsets);
        const carried = this.#carried(map, change.row);
        const changed = this.#changed(map, carried, change.row, change.old?.tuple ?? null);
        const { nulls, pattern } = this.#patterns.of(map, old, change.old ? this.#oldOffsets : this.#rowOffsets);
        const shape = `${changed === map.columns ? 'u' : `u${indexes(changed)} of ${indexes(carried)}`}${pattern}`;
        const make = (): Statement => updateStatement(map, { changed, carried }, this.#onMissing, nulls);
        const prepared = this.#prepared.of(pipe, map, shape, make);
        return this.#execute(pipe, prepared, change.row, old);
      }
      case 'delete': {
        locateColumns(change.old.tuple, this.#rowOffsets);
        const { nulls, pattern } = this.#patterns.of(map, change.old.tuple, this.#rowOffsets);
        const prepared = this.#prepared.of(pipe, map, `d${pattern}`, () => deleteStatement(map, nulls));
        return this.#execute(pipe, prepared, change.old.tuple, change.old.tuple);
      }
      default:
        return unreachable(change);
    }
  }

  // Unchanged TOAST is left alone.
  #carried(map: RowMap, row: Tuple): readonly MappedColumn[] {
    if (!row.partial) return map.columns;
    return map.columns.filter((column) => kindAt(row, this.#rowOffsets, column) !== COLUMN.unchangedToast);
  }

  // So is an identity column that did not change: to name it would need a rewrite of the row.
  #changed(map: RowMap, carried: readonly MappedColumn[], row: Tuple, old: Tuple | null): readonly MappedColumn[] {
    if (!carried.some((column) => column.target.identity === 'always')) return carried;
    const changed = carried.filter((column) => !this.#sameIdentity(map, column, row, old));
    return changed.length === carried.length ? carried : changed;
  }

  #sameIdentity(map: RowMap, column: MappedColumn, row: Tuple, old: Tuple | null): boolean {
    if (column.target.identity !== 'always') return false;
    if (!old) return map.find.columns.includes(column);
    if (map.relation.replicaIdentity !== 'full' && !map.find.columns.includes(column)) return false;
    return sameBytes(row, this.#rowOffsets, old, this.#oldOffsets, column);
  }

  #execute(pipe: StatementPipe, { name, statement }: Prepared<Statement>, row: Tuple, old: Tuple): Statement {
    const oldOffsets = old === row ? this.#rowOffsets : this.#oldOffsets;
    const formats: number[] = [];
    for (const column of statement.row) formats.push(kindAt(row, this.#rowOffsets, column) === COLUMN.binary ? 1 : 0);
    for (const column of statement.old) {
      const kind = kindAt(old, oldOffsets, column);
      if (kind === COLUMN.unchangedToast) throw keyNotSent(statement, column);
      formats.push(kind === COLUMN.binary ? 1 : 0);
    }
    const writer = pipe.bind(name, formats);
    for (const column of statement.row) writeParameter(writer, row, this.#rowOffsets, column);
    for (const column of statement.old) writeParameter(writer, old, oldOffsets, column);
    pipe.execute();
    return statement;
  }
}

function indexes(columns: readonly MappedColumn[]): string {
  return columns.map((column) => column.index).join();
}

function sameBytes(a: Tuple, aOffsets: Int32Array, b: Tuple, bOffsets: Int32Array, column: MappedColumn): boolean {
  const aStart = aOffsets[column.index] ?? 0;
  const bStart = bOffsets[column.index] ?? 0;
  const aEnd = columnEnd(a, aStart);
  return (
    aEnd - aStart === columnEnd(b, bStart) - bStart && a.data.compare(b.data, bStart, columnEnd(b, bStart), aStart, aEnd) === 0
  );
}

function columnEnd(tuple: Tuple, start: number): number {
  const kind = tuple.data[start];
  return kind === COLUMN.text || kind === COLUMN.binary ? start + 5 + tuple.view.getInt32(start + 1) : start + 1;
}

function keyNotSent(statement: Statement, column: MappedColumn): Problem {
  return new Problem(
    'STREAM_INVALID',
    `the stream does not carry key column "${column.target.name}" that finds the row (${statement.sql})`,
    {
      remedy: 'Please report this with the table definition.',
    },
  );
}
