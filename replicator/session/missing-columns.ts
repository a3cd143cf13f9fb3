import { columnDefinition, targetColumn } from '../catalog/create-table.ts';
import { readRelations } from '../catalog/read-relations.ts';
import type { TableMapping } from '../catalog/relation.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { Problem } from '../problem.ts';
import { on } from './blame.ts';
import type { Ends } from './ends.ts';

/**
 * TARGET_COLUMN_MISSING, as the stream gives it without types, with the ALTER TABLE to run: as the columns are on the source
 * now. Any other Problem, and one whose columns are gone again, stays as it is.
 */
export async function withColumnTypes(problem: Problem, mapping: TableMapping, ends: Ends): Promise<Problem> {
  if (problem.code !== 'TARGET_COLUMN_MISSING') return problem;
  const [source] = await on('source', readRelations(ends.source, { names: [mapping.source] }));
  const [target] = await on('target', readRelations(ends.target, { names: [mapping.target] }));
  const there = new Set(target?.columns.map((column) => column.name));
  const additions = (source?.columns ?? [])
    .filter((column) => !mapping.excludeColumns.includes(column.name) && column.generated === 'no')
    .map((column) => ({ column, name: targetColumn(column.name, mapping) }))
    .filter(({ name }) => !there.has(name))
    .map(({ column, name }) => `ADD COLUMN ${columnDefinition(column, name, { notNull: false })}`);
  if (additions.length === 0) return problem;
  const { code, message, retry, table } = problem;
  return new Problem(code, message, {
    retry,
    cause: problem.cause,
    remedy: `Run on the target:\nALTER TABLE ${quoteRelation(mapping.target)}\n  ${additions.join(',\n  ')};`,
    ...(table === null ? {} : { table }),
  });
}
