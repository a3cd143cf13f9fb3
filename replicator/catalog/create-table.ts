import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import type { Column, Relation, TableMapping } from './relation.ts';

/**
 * The CREATE TABLE that gives the target what a source table needs: carried columns, key and generated columns.
 * Defaults, other indexes and constraints are not part of it, nor is partitioning: the target's table is a plain one.
 */
export function createTableSql(source: Relation, mapping: TableMapping): string {
  const carried = source.columns.filter((column) => !mapping.excludeColumns.includes(column.name));
  const lines = carried.map((column) => columnDefinition(column, targetColumn(column.name, mapping)));
  const key = source.uniqueIndexes.find((index) => index.primary) ?? source.uniqueIndexes.find((index) => index.identifies);
  if (key?.columns.every((name) => carried.some((column) => column.name === name))) {
    const columns = key.columns.map((name) => quoteIdent(targetColumn(name, mapping))).join(', ');
    lines.push(`${key.primary ? 'PRIMARY KEY' : 'UNIQUE'} (${columns})`);
  }
  const schema = mapping.target.schema === 'public' ? '' : `CREATE SCHEMA IF NOT EXISTS ${quoteIdent(mapping.target.schema)};\n`;
  const body = lines.length === 0 ? '()' : `(\n  ${lines.join(',\n  ')}\n)`;
  return `${schema}CREATE TABLE ${quoteRelation(mapping.target)} ${body};`;
}

/** The name that a source column has on the target. */
export function targetColumn(name: string, mapping: TableMapping): string {
  return Object.hasOwn(mapping.renameColumns, name) ? (mapping.renameColumns[name] ?? name) : name;
}

/** A column as CREATE TABLE and ADD COLUMN want it. NOT NULL is only for new tables: rows that are there hold nothing yet. */
export function columnDefinition(column: Column, name: string, options: { readonly notNull?: boolean } = {}): string {
  const parts = [quoteIdent(name), column.typeText];
  if (column.generated !== 'no' && column.generatedAs) {
    parts.push(`GENERATED ALWAYS AS (${column.generatedAs}) ${column.generated === 'stored' ? 'STORED' : 'VIRTUAL'}`);
  } else if (column.identity !== 'no') {
    parts.push(`GENERATED ${column.identity.toUpperCase()} AS IDENTITY`);
  } else if (column.notNull && options.notNull !== false) {
    parts.push('NOT NULL');
  }
  return parts.join(' ');
}
