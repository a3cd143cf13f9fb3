import { expect, it } from 'vitest';
import { complaint } from '../finding.ts';
import { FindingBook } from './finding-book.ts';

it('keeps since when something is so, and tells what is new', () => {
  let now = 1000;
  const book = new FindingBook(() => now);
  const kept = (megabytes: number) =>
    complaint('warning', 'source', 'SLOT', { message: `The slot keeps ${megabytes} MB.`, remedy: 'Let it run.' });
  const other = complaint('warning', 'target', 'EXTENSION', {
    message: 'citext is missing.',
    remedy: 'CREATE EXTENSION citext;',
  });
  expect(book.read()).toEqual({ checkedAt: null, findings: [] });

  expect(book.replace([kept(5)])).toEqual([kept(5)]);
  now = 2000;
  expect(book.replace([kept(6.5), other])).toEqual([other]);
  expect(book.read()).toEqual({
    checkedAt: '1970-01-01T00:00:02.000Z',
    findings: [
      { ...kept(6.5), since: '1970-01-01T00:00:01.000Z' },
      { ...other, since: '1970-01-01T00:00:02.000Z' },
    ],
  });

  // What is over and comes back is new.
  expect(book.replace([])).toEqual([]);
  expect(book.replace([other])).toEqual([other]);
});
