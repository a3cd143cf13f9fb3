import type { StatementPipe } from '../postgres/statement-pipe.ts';
import { COLUMN, type Tuple } from '../pgoutput/messages.ts';
import { Problem, unreachable } from '../problem.ts';
import { NullPatterns } from './null-patterns.ts';
import type { PlannedChange } from './plan.ts';
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

/** Prepared statements kept on the target's session; beyond that all are forgotten and prepared again as needed. */
const MOST_PREPARED = 500;

interface Prepared {
  readonly name: string;
  readonly statement: Statement;
}

/**
 * Writes changes into a pipe as prepared statements, one a row, in source order: what the source accepted in that
 * order the target accepts too. Statements are prepared once a session for each table, operation and set of columns.
 */
export class OrderedReplay {
  readonly #onConflict: OnConflict;
  readonly #onMissing: OnMissing;
  #prepared = new Map<RowMap, Map<string, Prepared>>();
  #count = 0;
  #named = 0;
  /** Names that the server may still hold; to close one that it does not is no error. */
  #forgotten: string[] = [];
  readonly #patterns = new NullPatterns();
  readonly #rowOffsets = newOffsets();
  readonly #oldOffsets = newOffsets();

  constructor(options: { onConflict: OnConflict; onMissing: OnMissing }) {
    this.#onConflict = options.onConflict;
    this.#onMissing = options.onMissing;
  }

  /** Forgets what is prepared: after a failed pipe nobody knows how far its Parse messages got. */
  reset(): void {
    for (const ofMap of this.#prepared.values()) for (const { name } of ofMap.values()) this.#forgotten.push(name);
    this.#prepared = new Map();
    this.#count = 0;
  }

  /** Writes one change; returns the statement, whose answer tells of misses. */
  write(pipe: StatementPipe, { change, map }: PlannedChange): Statement {
    switch (change.kind) {
      case 'insert': {
        locateColumns(change.row, this.#rowOffsets);
        const prepared = this.#statement(pipe, map, 'i', () => insertStatement(map, this.#onConflict));
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
        const prepared = this.#statement(pipe, map, shape, make);
        return this.#execute(pipe, prepared, change.row, old);
      }
      case 'delete': {
        locateColumns(change.old.tuple, this.#rowOffsets);
        const { nulls, pattern } = this.#patterns.of(map, change.old.tuple, this.#rowOffsets);
        const prepared = this.#statement(pipe, map, `d${pattern}`, () => deleteStatement(map, nulls));
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

  #execute(pipe: StatementPipe, { name, statement }: Prepared, row: Tuple, old: Tuple): Statement {
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

  #statement(pipe: StatementPipe, map: RowMap, shape: string, make: () => Statement): Prepared {
    const known = this.#prepared.get(map)?.get(shape);
    if (known) return known;
    if (this.#count >= MOST_PREPARED) this.reset();
    for (const name of this.#forgotten.splice(0)) pipe.close(name);
    const prepared = { name: `s${++this.#named}`, statement: make() };
    pipe.parse(prepared.name, prepared.statement.sql, prepared.statement.types);
    const ofMap = this.#prepared.get(map) ?? new Map<string, Prepared>();
    this.#prepared.set(map, ofMap.set(shape, prepared));
    this.#count++;
    return prepared;
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
