import { displayName, type RelationName, type TableMapping } from '../catalog/relation.ts';
import type { Oid } from '../postgres/oid.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { memberTarget } from './definition.ts';
import type { CheckRow, IndexRow, MemberRow, StatisticsRow } from './part-queries.ts';
import { inSourceNames, type Step, type TablePlan } from './step.ts';
import { commentSql, renames } from './table-sql.ts';

/** What the source's catalog says of one followed table and its partitions. */
export interface TableParts {
  readonly mapping: TableMapping;
  readonly members: readonly MemberRow[];
  readonly indexes: readonly IndexRow[];
  readonly checks: readonly CheckRow[];
  readonly statistics: readonly StatisticsRow[];
}

/** A name for an index on the target that no other table's index has. */
export type NameIndex = (wanted: RelationName, table: RelationName) => RelationName;

/**
 * The steps that bring a table of ours what it has on the source beside its rows: keys, indexes, checks, replica identity,
 * statistics objects. An index of a partitioned table is made of those of its partitions, which are attached to it.
 */
export function planParts(parts: TableParts, nameIndex: NameIndex): TablePlan {
  return new Planner(parts, nameIndex).plan();
}

class Planner {
  readonly #parts: TableParts;
  readonly #steps: Step[] = [];
  readonly #impossible: { part: string; reason: string }[] = [];
  readonly #members: ReadonlyMap<Oid, MemberRow>;
  readonly #indexes: ReadonlyMap<Oid, IndexRow>;
  readonly #names = new Map<Oid, RelationName>();
  /** The last index that is attached. */
  #attached: string | null = null;

  constructor(parts: TableParts, nameIndex: NameIndex) {
    this.#parts = parts;
    this.#members = new Map(parts.members.map((member) => [member.oid, member]));
    this.#indexes = new Map(parts.indexes.map((index) => [index.oid, index]));
    for (const index of parts.indexes) {
      const table = this.#table(index.relation);
      this.#names.set(index.oid, nameIndex({ schema: table.schema, name: index.name }, table));
    }
  }

  plan(): TablePlan {
    const { indexes, checks, statistics, members, mapping } = this.#parts;
    for (const index of indexes) this.#index(index);
    for (const index of indexes) this.#attach(index);
    for (const check of checks) this.#check(check);
    for (const member of members) this.#identity(member);
    for (const each of statistics) this.#statistics(each);
    return { mapping, steps: this.#steps, impossible: this.#impossible };
  }

  #index(index: IndexRow): void {
    const name = this.#nameOf(index);
    const table = quoteRelation(this.#table(index.relation));
    const isKey = index.primary || index.identity;
    const comment = commentSql(`INDEX ${quoteRelation(name)}`, index.comment);
    const statistics = index.statistics.map(
      ([attnum, target]) => `ALTER INDEX ${quoteRelation(name)} ALTER COLUMN ${attnum} SET STATISTICS ${target}`,
    );
    if (index.constraint_kind === null || byIndex(index)) {
      const kind = index.unique ? 'UNIQUE INDEX' : 'INDEX';
      const create = `CREATE ${kind} ${quoteIdent(name.name)} ON ${index.partitioned ? 'ONLY ' : ''}${table} ${index.method}`;
      const sql = [create, ...statistics, ...comment];
      this.#add({ part: indexPart(index), after: [], sql, isKey, ...(index.partitioned ? {} : { index: name }) }, index.columns);
    }
    if (index.constraint_kind !== null) {
      const add = `ALTER TABLE ONLY ${table} ADD CONSTRAINT ${quoteIdent(name.name)}`;
      const remark = commentSql(`CONSTRAINT ${quoteIdent(name.name)} ON ${table}`, index.constraint_comment);
      const part = this.#doneWith(index);
      if (byIndex(index)) {
        const what = `${index.primary ? 'PRIMARY KEY' : 'UNIQUE'} USING INDEX ${quoteIdent(name.name)}`;
        const deferred = `${index.deferrable ? ' DEFERRABLE' : ''}${index.deferred ? ' INITIALLY DEFERRED' : ''}`;
        const sql = [`${add} ${what}${deferred}`, ...remark];
        if (this.#carries(index.columns)) this.#steps.push({ part, after: this.#builtFirst(index.relation), sql, isKey });
      } else {
        this.#add({ part, after: [], sql: [`${add} ${index.constraint_def}`, ...comment, ...remark], isKey }, index.columns);
      }
    }
    if (index.clustered && this.#carries(index.columns)) {
      const sql = [`ALTER TABLE ONLY ${table} CLUSTER ON ${quoteIdent(name.name)}`];
      this.#steps.push({ part: `cluster ${displayName(index)}`, after: [this.#doneWith(index)], sql, isKey: false });
    }
  }

  #attach(index: IndexRow): void {
    const parent = index.parent === null ? undefined : this.#indexes.get(index.parent);
    if (!parent || !this.#carries(index.columns)) return;
    const sql = [`ALTER INDEX ${quoteRelation(this.#nameOf(parent))} ATTACH PARTITION ${quoteRelation(this.#nameOf(index))}`];
    const part = `attach ${displayName(index)}`;
    // One after the other: the last makes the index above valid, and must see those before.
    const before = this.#attached === null ? [] : [this.#attached];
    this.#attached = part;
    this.#steps.push({ part, after: [this.#doneWith(parent), this.#doneWith(index), ...before], sql, isKey: false });
  }

  #check({ relation, name, definition, columns, comment }: CheckRow): void {
    const table = this.#table(relation);
    const sql = [
      `ALTER TABLE ${quoteRelation(table)} ADD CONSTRAINT ${quoteIdent(name)} ${definition}`,
      ...commentSql(`CONSTRAINT ${quoteIdent(name)} ON ${quoteRelation(table)}`, comment),
    ];
    const part = `constraint ${this.#source(relation)}.${name}`;
    this.#add({ part, after: this.#builtFirst(relation), sql, isKey: false }, columns);
  }

  #identity({ oid, replica_identity }: MemberRow): void {
    const index = this.#parts.indexes.find((each) => each.relation === oid && each.identity);
    const what =
      replica_identity === 'f'
        ? 'FULL'
        : replica_identity === 'n'
          ? 'NOTHING'
          : replica_identity === 'i' && index && this.#carries(index.columns)
            ? `USING INDEX ${quoteIdent(this.#nameOf(index).name)}`
            : null;
    if (what === null) return;
    const sql = [`ALTER TABLE ONLY ${quoteRelation(this.#table(oid))} REPLICA IDENTITY ${what}`];
    const after = what.startsWith('USING') && index ? [this.#doneWith(index)] : [];
    this.#steps.push({ part: `replica identity ${this.#source(oid)}`, after, sql, isKey: false });
  }

  #statistics(row: StatisticsRow): void {
    const table = this.#table(row.relation);
    const name = quoteRelation({ schema: table.schema, name: row.name });
    const sql = [
      `CREATE STATISTICS ${name}${row.what} FROM ${quoteRelation(table)}`,
      ...(row.target >= 0 ? [`ALTER STATISTICS ${name} SET STATISTICS ${row.target}`] : []),
      ...commentSql(`STATISTICS ${name}`, row.comment),
    ];
    this.#add({ part: `statistics ${displayName(row)}`, after: [], sql, isKey: false }, row.columns);
  }

  // A step whose statements speak of columns.
  #add(step: Step, columns: readonly string[]): void {
    const { mapping } = this.#parts;
    const lost = columns.filter((name) => mapping.excludeColumns.includes(name));
    if (lost.length > 0) {
      this.#impossible.push({ part: step.part, reason: `it uses ${lost.join(', ')}, which is not carried` });
      return;
    }
    const usesRenamed = columns.some((name) => Object.hasOwn(mapping.renameColumns, name));
    if (!usesRenamed) return void this.#steps.push(step);
    const renamed = renames(
      mapping,
      Object.keys(mapping.renameColumns).map((name) => ({ name })),
    ).filter(({ from }) => !mapping.excludeColumns.includes(from));
    const { part, after, isKey } = step;
    this.#steps.push({ part, after, isKey, sql: inSourceNames(mapping.target, renamed, step.sql) });
  }

  #carries(columns: readonly string[]): boolean {
    return !columns.some((name) => this.#parts.mapping.excludeColumns.includes(name));
  }

  // What locks the table out waits for the indexes that are being built, or readers would wait with it all the time.
  #builtFirst(relation: Oid): string[] {
    return this.#parts.indexes
      .filter((index) => index.relation === relation && (index.constraint_kind === null || byIndex(index)))
      .map(indexPart);
  }

  /** The part with which an index is complete. */
  #doneWith(index: IndexRow): string {
    return index.constraint_kind === null ? indexPart(index) : `constraint ${this.#source(index.relation)}.${index.name}`;
  }

  #nameOf(index: IndexRow): RelationName {
    return this.#names.get(index.oid) ?? index;
  }

  #table(oid: Oid): RelationName {
    return memberTarget(this.#parts.mapping, this.#members.get(oid) ?? this.#parts.mapping.source);
  }

  #source(oid: Oid): string {
    return displayName(this.#members.get(oid) ?? this.#parts.mapping.source);
  }
}

// Its index is built first, side by side with others, and then made a constraint in no time.
// https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX
function byIndex(index: IndexRow): boolean {
  return !index.partitioned && !index.period && (index.constraint_kind === 'p' || index.constraint_kind === 'u');
}

function indexPart(index: IndexRow): string {
  return `index ${displayName(index)}`;
}
