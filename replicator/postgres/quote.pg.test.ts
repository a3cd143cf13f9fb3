import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { testDatabases, value } from '../testing/databases.ts';
import { quoteIdent, quoteLiteral } from './quote.ts';

// PostgreSQL cuts names at 63 bytes; text cannot hold NUL or lone surrogates.
const name = fc.string({
  unit: fc.constantFrom('a', '"', "'", '\\', '.', ' ', '$1', '\n', 'é', '表', '🐘'),
  minLength: 1,
  maxLength: 15,
});

test('the server reads back what was quoted, whatever standard_conforming_strings says', async () => {
  await using db = await testDatabases();
  for (const setting of ['on', 'off']) {
    // 19 knows no "off" any more.
    const known = await db.source.query(`SET standard_conforming_strings = ${setting}; SET escape_string_warning = off`).then(
      () => true,
      () => false,
    );
    if (!known) continue;
    await fc.assert(
      fc.asyncProperty(name, async (text) => {
        const row =
          (await db.source.query(`SELECT ${quoteLiteral(text)} AS literal, * FROM (SELECT 1 AS ${quoteIdent(text)}) t`))[0] ?? {};
        expect(row['literal']).toBe(text);
        expect(Object.keys(row)).toContain(text);
      }),
      { numRuns: 60 },
    );
  }
  expect(await value(db.source, `SELECT quote_literal($1)`, [String.raw`a\'b`])).toBe(quoteLiteral(String.raw`a\'b`).trim());
});
