import { expect, it } from 'vitest';
import { waiting, type TableValidation } from './validation.ts';
import { TableBook } from './table-book.ts';
import { OTHERS, TableSeriesBook, type TableSeries } from './table-series.ts';

const INSERT = { insert: 1, update: 0, delete: 0, truncate: 0 };

function follow(names: string[]) {
  const tables = new TableBook(() => 0);
  const list = (sources: string[]): void =>
    tables.list(
      sources.map((source) => ({
        source,
        target: source,
        identity: 'full',
        state: 'streaming',
        rowsEstimated: 1,
        rowsCopied: 10,
      })),
    );
  list(names);
  return {
    tables,
    list,
    insert: (...sources: string[]) => sources.forEach((source) => tables.applied(source, INSERT, 0)),
    see: (book: TableSeriesBook) => book.series(tables.all(), (source) => tables.copiedTotals(source)),
  };
}

const inserts = (series: TableSeries[]): Record<string, number> =>
  Object.fromEntries(series.map(({ label, applied }) => [label, applied.insert]));

it('up to the limit every table has its own series, also with nothing to tell', () => {
  const { see, insert } = follow(['s.a', 's.b']);
  const book = new TableSeriesBook(2);
  insert('s.b');
  expect(inserts(see(book))).toEqual({ 's.a': 0, 's.b': 1 });
});

it('beyond it the first that have something to tell; the others are summed up, and nothing ever falls', () => {
  const { tables, see, insert, list } = follow(['s.a', 's.b', 's.c', 's.d']);
  const book = new TableSeriesBook(2);
  expect(inserts(see(book))).toEqual({ [OTHERS]: 0 });
  insert('s.c');
  expect(inserts(see(book))).toEqual({ 's.c': 1, [OTHERS]: 0 });
  insert('s.a', 's.b', 's.b', 's.d');
  expect(inserts(see(book))).toEqual({ 's.a': 1, 's.c': 1, [OTHERS]: 3 });
  tables.conflict('s.b', 'updateMissing', 2);
  tables.spooled('s.d', 7);
  expect(see(book).at(-1)).toMatchObject({
    label: OTHERS,
    spooledBytes: 7,
    conflicts: { updateMissing: 2 },
    copied: { rows: 40 },
  });
  // One that leaves takes nothing along, and its place goes to one of the others.
  list(['s.b', 's.c', 's.d']);
  insert('s.b');
  expect(inserts(see(book))).toEqual({ 's.b': 3, 's.c': 1, [OTHERS]: 3 });
  insert('s.d');
  expect(inserts(see(book))).toEqual({ 's.b': 3, 's.c': 1, [OTHERS]: 4 });
  expect(see(book).at(-1)).toMatchObject({ conflicts: { updateMissing: 2 }, copied: { rows: 40 } });
});

it('with a limit of 0 there is one series', () => {
  const { see, insert } = follow(['s.a', 's.b']);
  const book = new TableSeriesBook(0);
  insert('s.a', 's.b');
  expect(inserts(see(book))).toEqual({ [OTHERS]: 2 });
});

it('what comparisons found: of each table, and of the others together', () => {
  const { tables, see } = follow(['s.a', 's.b', 's.c', 's.d']);
  const book = new TableSeriesBook(1);
  const at = '2026-01-02T03:04:05.000Z';
  const compared = (source: string, found: Partial<TableValidation>): void =>
    tables.validated(source, { ...waiting(), finishedAt: at, ...found });
  const seen = (): unknown[] => see(book).map(({ label, mismatchedRows, equalAtMs }) => [label, mismatchedRows, equalAtMs]);
  expect(seen()).toEqual([[OTHERS, null, null]]);
  compared('s.a', { state: 'equal' });
  compared('s.b', { state: 'different', missing: 2, extra: 3, different: 4 });
  compared('s.c', { state: 'different', extra: 1 });
  // The first that has something to tell.
  expect(seen()).toEqual([
    ['s.b', 9, null],
    [OTHERS, 1, null],
  ]);
  compared('s.b', { state: 'equal' });
  expect(seen()[0]).toEqual(['s.b', 0, Date.parse(at)]);
  compared('s.b', { state: 'different', extra: 1, finishedAt: '2026-01-03T00:00:00.000Z' });
  expect(seen()[0]).toEqual(['s.b', 1, Date.parse(at)]);
  tables.validated('s.b', null);
  expect(seen()[0]).toEqual(['s.b', null, null]);
});
