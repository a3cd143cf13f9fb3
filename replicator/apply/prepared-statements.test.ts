import { expect, test } from 'vitest';
import type { StreamRelation } from '../pgoutput/messages.ts';
import { buildMapping, buildRelation } from '../testing/build-relation.ts';
import { PreparedStatements } from './prepared-statements.ts';
import { mapRows, type RowMap } from './row-map.ts';

function scene() {
  const open = new Map<string, string>();
  const told: string[] = [];
  const pipe = {
    parse(name: string, sql: string): void {
      if (open.has(name)) throw new Error(`prepared statement "${name}" already exists`);
      open.set(name, sql);
      told.push(sql);
    },
    close: (name: string): void => void open.delete(name),
  };
  const prepared = new PreparedStatements<{ sql: string; types: number[] }>('s');
  const use = (map: RowMap, shape: string, types = [23]): string => {
    const { name, statement } = prepared.of(pipe, map, shape, () => ({ sql: `${shape} ${map.table}`, types }));
    expect(open.get(name)).toBe(`${shape} ${map.table}`);
    expect(statement.sql).toBe(open.get(name));
    return name;
  };
  return { open, told, prepared, use };
}

function table(name: string): RowMap {
  const relation: StreamRelation = { oid: 1, schema: 'public', name, replicaIdentity: 'full', columns: [] };
  return mapRows(relation, buildMapping(name), buildRelation(name), { binary: true });
}

test('a statement is prepared once for a table and a shape', () => {
  const { told, use } = scene();
  const [a, b] = [table('a'), table('b')];
  const names = [use(a, 'insert'), use(a, 'delete'), use(b, 'insert'), use(a, 'insert'), use(b, 'insert')];
  expect(told).toEqual(['insert public.a', 'delete public.a', 'insert public.b']);
  expect(names[3]).toBe(names[0]);
  expect(new Set(names).size).toBe(3);
});

test('what is forgotten is closed on the server and prepared again under another name', () => {
  const { open, told, prepared, use } = scene();
  const a = table('a');
  const first = use(a, 'insert');
  use(a, 'delete');
  prepared.forget();
  expect(use(a, 'insert')).not.toBe(first);
  expect([...open.values()]).toEqual(['insert public.a']);
  expect(told).toHaveLength(3);
});

test('three statements of each of five hundred tables stay; what the server holds is bounded all the same', () => {
  const { open, told, use } = scene();
  const tables = Array.from({ length: 500 }, (_, n) => table(`t${n}`));
  const round = (): void => tables.forEach((map) => ['insert', 'update', 'delete'].forEach((shape) => use(map, shape, [23, 25])));
  round();
  round();
  expect(told).toHaveLength(1500);
  const wide = Array.from({ length: 1000 }, () => 25);
  for (let n = 0; n < 100; n++) use(tables[n] ?? table('t'), 'wide', wide);
  expect([...open.values()].filter((sql) => sql.startsWith('wide')).length).toBeLessThan(21);
  expect(open.size).toBeLessThan(1600);
});
