import type { ColumnPair } from '../catalog/match-target.ts';
import { displayName, type Relation, type TableMapping } from '../catalog/relation.ts';
import { compareByImage } from './by-image.ts';
import { compareByLookup } from './by-lookup.ts';
import { compareByRange } from './by-range.ts';
import { comparedColumns } from './compared-columns.ts';
import { Comparison, type ComparisonOptions, type Found } from './comparison.ts';
import { commonHash } from './hash.ts';
import { rowKey } from './row-key.ts';
import { SideSql } from './side-sql.ts';
import type { Side } from './side.ts';

/** A table to compare: its two ends, as they are followed. */
export interface ValidatedTable {
  readonly mapping: TableMapping;
  readonly source: Relation;
  readonly target: Relation;
  readonly columns: readonly ColumnPair[];
}

export interface TableFound extends Found {
  /** Columns of the source that were not compared; see comparedColumns(). */
  readonly columnsNotCompared: readonly string[];
}

type Rest = Pick<ComparisonOptions, 'clock' | 'stream' | 'unchanged' | 'progress' | 'signal'>;

/**
 * Compares the rows of a table on both sides while both are written to. Differences that it gives are real (see
 * verdict() and imageVerdict()). Throws TableChanged, TooLong, what a server says, or the signal's reason.
 */
export async function validateTable(
  table: ValidatedTable,
  sides: { readonly source: Side; readonly target: Side },
  rest: Rest,
): Promise<TableFound> {
  const { mapping, source, target, columns } = table;
  const { compared, left } = comparedColumns(columns);
  const key = rowKey(source, target, columns);
  const hash = await commonHash(sides);
  const comparison = new Comparison({
    ...rest,
    table: displayName(mapping.source),
    estimatedRows: source.estimatedRows,
    keyNames: key?.source.map(({ name }) => name) ?? [],
    source: {
      side: sides.source,
      sql: new SideSql({
        relation: source,
        columns: compared.map((column) => column.source),
        key: key?.source ?? [],
        where: mapping.where,
        hash,
      }),
    },
    target: {
      side: sides.target,
      sql: new SideSql({
        relation: target,
        columns: compared.map((column) => column.target),
        key: key?.target ?? [],
        where: null,
        hash,
      }),
    },
  });
  if (!key) await compareByImage(comparison);
  else if (key.ordered) await compareByRange(comparison);
  else await compareByLookup(comparison);
  comparison.refuseChanged();
  return { ...comparison.found, columnsNotCompared: left };
}
