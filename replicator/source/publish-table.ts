import type { Client, QueryConfig } from 'pg';
import type { Relation, RelationName } from '../catalog/relation.ts';
import type { Oid } from '../postgres/oid.ts';
import { namingEventTriggers } from '../postgres/event-triggers.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import type { Problem } from '../problem.ts';
import { isBroken, patientTransaction, transaction } from './patient-transaction.ts';
import { keepsTakingWrites, probesOf, proveWritable } from './probe-writes.ts';
import { notTakenOut, publishProblem } from './publish-problem.ts';
import { readFilter, type MemberState } from './publication-state.ts';
import type { IdentityChange } from './replica-identity.ts';
import { writeFault, type WriteFault } from './write-fault.ts';

export interface WantedTable {
  readonly relation: Relation;
  /** Of every level, where the relation is partitioned. */
  readonly partitions: readonly Relation[];
  /** Columns that are not carried. */
  readonly excludeColumns: readonly string[];
  /** Row filter, in SQL. */
  readonly where: string | null;
}

export interface TableOutcome {
  readonly kind: 'added' | 'filter changed' | 'kept' | 'removed' | 'left out';
  readonly relation: RelationName;
  readonly identityChanges: readonly IdentityChange[];
  readonly problem: Problem | null;
}

export interface EditorOptions {
  readonly publication: string;
  readonly lockTimeoutMs: number;
  readonly sourceVersion: number;
  readonly generatedColumnsSent: 'none' | 'stored';
  readonly filterMemo: Map<string, string>;
}

/** Tables that need nothing but to be added share a transaction. */
const TABLES_A_TRANSACTION = 50;

/**
 * What a transaction that sets replica identities may take, ms, and that for each: it keeps everybody away from the table, and an event trigger of
 * somebody else's takes its time in it. By itself it takes a few ms.
 */
const LOCKED_MS = 1000;
const LOCKED_EACH_MS = 20;

/** Changes one publication, a table at a time, each change proven harmless before it is committed. */
export class PublicationEditor {
  readonly #client: Client;
  readonly #options: EditorOptions;
  readonly #publication: string;

  constructor(client: Client, options: EditorOptions) {
    this.#client = client;
    this.#options = options;
    this.#publication = quoteIdent(options.publication);
  }

  /** Whether a published table has the filter that is wanted, as far as can be told without asking the server. */
  isAsWanted(member: MemberState, { relation, where }: WantedTable): boolean {
    if (member.hasColumnList) return false;
    if (where === null) return !member.hasFilter;
    return (
      member.hasFilter && (member.filter === null || this.#options.filterMemo.get(memoKey(relation, where)) === member.filter)
    );
  }

  /** Adds tables that need nothing else, many in a transaction; where that fails, one by one. */
  async publishAll(tables: readonly WantedTable[]): Promise<TableOutcome[]> {
    const outcomes: TableOutcome[] = [];
    for (let at = 0; at < tables.length; at += TABLES_A_TRANSACTION) {
      const some = tables.slice(at, at + TABLES_A_TRANSACTION);
      const names = some.map(({ relation }) => `ONLY ${quoteRelation(relation)}`).join(', ');
      const statements = [this.#addition(names), ...some.flatMap((table) => probesOf(table.relation))];
      if (some.length > 1 && (await this.#succeeds(statements))) {
        outcomes.push(...some.map(({ relation }) => outcome('added', relation)));
      } else {
        for (const table of some) outcomes.push(await this.publish(table, null, []));
      }
    }
    return outcomes;
  }

  /** Adds a table, or publishes it anew with another filter, after its replica identity has been set. */
  async publish(table: WantedTable, member: MemberState | null, plan: readonly IdentityChange[]): Promise<TableOutcome> {
    const { relation } = table;
    try {
      return await this.#transaction((rollback) => this.#publishOnce(table, member, plan, rollback));
    } catch (error) {
      const problem = publishProblem(error, table, [...plan.map((change) => change.sql), this.#addition(clauseOf(table))]);
      // What is published already and would stay so must not go on making writes fail.
      return member && plan.length > 0 && problem.retry === 'permanent'
        ? this.withhold(table, member, problem)
        : outcome('left out', relation, problem);
    }
  }

  /** Keeps a table out, or takes it out, because of a problem. */
  async withhold({ relation }: WantedTable, member: MemberState | null, problem: Problem): Promise<TableOutcome> {
    if (member) await this.remove(member);
    return outcome('left out', relation, problem);
  }

  async remove(member: MemberState): Promise<TableOutcome> {
    try {
      await this.#transaction(() => this.#client.query(this.#removal(member)));
      return outcome('removed', member);
    } catch (error) {
      if (sqlState(error) === SQLSTATE.undefined_table || sqlState(error) === SQLSTATE.undefined_object)
        return outcome('removed', member);
      return outcome('left out', member, notTakenOut(error, member, this.#removal(member)));
    }
  }

  /**
   * Sets the publication's options. A table that it already holds and whose writes they would break is taken out in the
   * same transaction; its OID is returned. `tables`: those that are wanted.
   */
  async setOptions(clause: string, members: readonly MemberState[], tables: readonly WantedTable[]): Promise<Oid[]> {
    const wanted = new Map(tables.map((table) => [table.relation.oid, table]));
    return this.#transaction(async () => {
      await this.#client.query(`ALTER PUBLICATION ${this.#publication} SET (${clause})`);
      const expelled: Oid[] = [];
      for (const member of members) {
        const table = wanted.get(member.oid);
        const fault = table ? this.writeFault(table, [], member.filterColumns) : null;
        if (await keepsTakingWrites(this.#client, member, fault)) continue;
        await this.#client.query(this.#removal(member));
        expelled.push(member.oid);
      }
      return expelled;
    });
  }

  writeFault(
    { relation, partitions }: WantedTable,
    plan: readonly IdentityChange[],
    filterColumns: readonly string[],
  ): WriteFault | null {
    return writeFault({ relation, partitions, plan, filterColumns }, this.#options);
  }

  async #publishOnce(
    table: WantedTable,
    member: MemberState | null,
    plan: readonly IdentityChange[],
    rollback: () => Promise<void>,
  ): Promise<TableOutcome> {
    const { relation } = table;
    const deadline = performance.now() + this.#options.lockTimeoutMs;
    const end = performance.now() + LOCKED_MS + LOCKED_EACH_MS * plan.length;
    for (const change of plan) {
      // ACCESS EXCLUSIVE: all the locks of one tree may be waited for no longer than one lock.
      const left = Math.max(10, Math.ceil(deadline - performance.now()));
      await this.#client.query(`SET LOCAL lock_timeout = ${left}; ${untilSql(end)}; ${change.sql}`);
    }
    if (plan.length > 0) await this.#client.query(untilSql(end));
    let filterColumns: readonly string[] = member?.filterColumns ?? [];
    if (!member || !this.isAsWanted(member, table)) {
      const now = await this.#replace(table, member);
      if (member && table.where !== null && now.filter === member.filter && !member.hasColumnList && plan.length === 0) {
        await rollback();
        return outcome('kept', relation);
      }
      filterColumns = now.columns;
    }
    await proveWritable(this.#client, table, this.writeFault(table, plan, filterColumns));
    // A COMMIT that is cancelled has been made all the same.
    if (plan.length > 0) await this.#client.query('SET LOCAL statement_timeout = 0');
    const changed = member !== null && (member.hasFilter || table.where !== null) && !this.isAsWanted(member, table);
    return { ...outcome(member ? (changed ? 'filter changed' : 'kept') : 'added', relation), identityChanges: plan };
  }

  /** Whether a filter is the same as before, only the server can tell: it writes it down in its own words. */
  async #replace(table: WantedTable, member: MemberState | null): Promise<{ filter: string | null; columns: readonly string[] }> {
    const { relation, where } = table;
    if (member) await this.#client.query(this.#removal(member));
    // The extended protocol takes one statement and no more, whatever stands in the filter.
    const addition: QueryConfig & { queryMode: 'extended' } = { text: this.#addition(clauseOf(table)), queryMode: 'extended' };
    await this.#client.query(addition);
    if (where === null) return { filter: null, columns: [] };
    const now = await readFilter(this.#client, this.#options.publication, relation.oid);
    if (now.filter !== null) this.#options.filterMemo.set(memoKey(relation, where), now.filter);
    return now;
  }

  #addition(tables: string): string {
    return `ALTER PUBLICATION ${this.#publication} ADD TABLE ${tables}`;
  }

  #removal(member: RelationName): string {
    return `ALTER PUBLICATION ${this.#publication} DROP TABLE ONLY ${quoteRelation(member)}`;
  }

  async #succeeds(statements: readonly string[]): Promise<boolean> {
    try {
      // One round trip.
      await transaction(this.#client, this.#options.lockTimeoutMs, () => this.#client.query(statements.join('; ')));
      return true;
    } catch (error) {
      if (isBroken(error)) throw error;
      return false;
    }
  }

  #transaction<T>(work: (rollback: () => Promise<void>) => Promise<T>): Promise<T> {
    return namingEventTriggers(this.#client, 'source', () => patientTransaction(this.#client, this.#options.lockTimeoutMs, work));
  }
}

// Each statement by itself.
function untilSql(end: number): string {
  return `SET LOCAL statement_timeout = ${Math.max(10, Math.ceil(end - performance.now()))}`;
}

function outcome(kind: TableOutcome['kind'], { schema, name }: RelationName, problem: Problem | null = null): TableOutcome {
  return { kind, relation: { schema, name }, identityChanges: [], problem };
}

function clauseOf({ relation, where }: { relation: RelationName; where: string | null }): string {
  return `ONLY ${quoteRelation(relation)}${where === null ? '' : ` WHERE (${where}\n)`}`;
}

function memoKey(relation: Relation, where: string): string {
  return `${relation.oid} ${where}`;
}
