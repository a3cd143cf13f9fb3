import type { Shape } from './shapes.ts';
import type { Values } from './type-values.ts';

/**
 * Tables that hold these values: all types in one, with a key and without, and each type as the key of a table of its own.
 * Each value comes by the copy and by the stream, is set over another, over NULL and to NULL, and goes again.
 */
export function typeShapes(values: Values, options: { readonly ddl?: string; readonly notKeys: readonly string[] }): Shape[] {
  const { ddl = '', notKeys } = options;
  const keyed = Object.keys(values).filter((type) => !notKeys.includes(type) && values[type]?.length !== 0);
  return [
    { name: 'every type, by key', ddl: `${ddl}; ${table(values, 'PRIMARY KEY')}`, rows: rows(values), changes: changes(values) },
    {
      name: 'every type, by the image of the row',
      ddl: `${ddl}; ${table(values, '')}`,
      rows: rows(values),
      changes: [
        ...changes(values),
        ...changes(values).slice(0, 1),
        'DELETE FROM t WHERE ctid IN (SELECT min(ctid) FROM t GROUP BY id HAVING count(*) > 1)',
      ],
    },
    {
      name: 'every type, as the key',
      ddl: `${ddl}; ${keyed.map((type, i) => `CREATE TABLE k${i} (id ${type} PRIMARY KEY, n int)`).join('; ')}`,
      rows: keyed.map((type, i) => (values[type] ?? []).map((value, n) => insertKey(i, value, n)).join('; ')).join('; '),
      changes: [0, 1, 2, 3, 4].map((step) => keyed.map((type, i) => keyChanges(i, values[type] ?? [])[step]).join('; ')),
    },
  ];
}

function rows(values: Values): string {
  return Object.values(values)
    .flatMap((each, i) => each.map((value, n) => `INSERT INTO t (id, c${i}) VALUES (${i * 100 + n}, $v$${value}$v$)`))
    .join('; ');
}

function table(values: Values, key: string): string {
  const columns = Object.keys(values).map((type, i) => `c${i} ${values[type]?.length === 0 ? 'int' : type}`);
  return `CREATE TABLE t (id int ${key}, ${columns.join(', ')})`;
}

function changes(values: Values): string[] {
  const names = Object.keys(values).map((_, i) => `c${i}`);
  const first = names.map((name, i) => `(SELECT ${name} FROM t WHERE id = ${i * 100 + 50})`);
  return [
    // Every value once more by the stream, set over another, and over NULL.
    rows(values).replaceAll('VALUES (', 'VALUES (50 + '),
    'UPDATE t SET id = id + 10 WHERE id % 100 < 10',
    `UPDATE t SET (${names.join(', ')}) = (SELECT ${first.join(', ')}) WHERE id IN (10, 11)`,
    `UPDATE t SET ${names.map((name) => `${name} = NULL`).join(', ')} WHERE id = 60`,
    'DELETE FROM t WHERE id % 100 IN (11, 61)',
  ];
}

// Some values are equal to another one.
function insertKey(i: number, value: string, n: number): string {
  return `INSERT INTO k${i} VALUES ($v$${value}$v$, ${n}) ON CONFLICT DO NOTHING`;
}

function keyChanges(i: number, values: readonly string[]): string[] {
  const last = values.at(-1) ?? '';
  return [
    `UPDATE k${i} SET n = n + 100`,
    `DELETE FROM k${i} WHERE n = (SELECT max(n) FROM k${i})`,
    `INSERT INTO k${i} VALUES ($v$${last}$v$, 200)`,
    `DELETE FROM k${i} WHERE n = 200; UPDATE k${i} SET id = $v$${last}$v$ WHERE n = 100`,
    insertKey(i, values[0] ?? '', 300),
  ];
}
