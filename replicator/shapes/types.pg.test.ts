import { describe, test } from 'vitest';
import { TEST_VERSION } from '../testing/servers.ts';
import { known, stageShapes, type Shape } from '../testing/shapes.ts';

// A column a type, and for each the values that are easy to get wrong. Compared as text, exactly.
const VALUES: Readonly<Record<string, readonly string[]>> = {
  boolean: ['t', 'f'],
  smallint: ['-32768', '32767', '0'],
  integer: ['-2147483648', '2147483647'],
  bigint: ['-9223372036854775808', '9223372036854775807', '9007199254740993'],
  numeric: ['0', '-0.000', '1.0', '1.00', 'NaN', 'Infinity', '-Infinity', '1e-100', `${'9'.repeat(300)}.${'1'.repeat(300)}`],
  'numeric(20,5)': ['123456789012345.67891', '-1.00000', 'NaN'],
  'numeric(5,-2)': TEST_VERSION >= 15 ? ['1234500', '-100'] : [],
  real: ['0.1', '-0', 'NaN', 'Infinity', '-Infinity', '1.17549435e-38', '3.4028235e+38', '16777217'],
  'double precision': ['0.1', '-0', 'NaN', 'Infinity', '-Infinity', '4.9e-324', '1.7976931348623157e+308', '0.30000000000000004'],
  money: ['$0.01', '-$92,233,720,368,547,758.08', '$1,234.56'],
  text: [
    '',
    ' ',
    String.raw`\N`,
    String.raw`\.`,
    'quote \' and " and \\ and \b\t\n\u000b\f\r',
    'naïve 🐘 表 \u200b',
    'x'.repeat(100_000),
  ],
  'varchar(10)': ['', 'ten chars.', 'ü'.repeat(10)],
  'character(5)': ['', 'ab', '  a  '],
  bpchar: ['', 'a ', 'a'],
  '"char"': ['', 'a', String.raw`\377`],
  name: ['a_name', 'ü'.repeat(31)],
  bytea: [String.raw`\x`, String.raw`\x00ff5c5c0a`, `\\x${'00'.repeat(3000)}`],
  bit: ['1', '0'],
  'bit(3)': ['101'],
  'bit varying(9)': ['', '1', '010101010'],
  uuid: ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
  date: ['infinity', '-infinity', '4713-01-01 BC', '0001-12-31 BC', '5874897-12-31', '2000-02-29'],
  time: ['00:00:00', '24:00:00', '23:59:59.999999'],
  'time(0)': ['12:00:01'],
  timetz: ['00:00:00+15:59:59', '24:00:00-15:59:59', '12:00:00.000001+05:45'],
  timestamp: [
    'infinity',
    '-infinity',
    '4713-01-01 00:00:00 BC',
    '294276-12-31 23:59:59.999999',
    '2026-03-29 02:30:00',
    '1999-12-31 23:59:59.999999',
  ],
  'timestamp(3)': ['2026-01-01 00:00:00.123'],
  timestamptz: [
    'infinity',
    '-infinity',
    '4713-01-01 00:00:00+00 BC',
    '294276-12-31 23:59:59.999999+00',
    '2026-10-25 02:30:00+02',
    '2026-10-25 02:30:00+01',
  ],
  interval: ['0', '1 year -2 mons +3 days -04:05:06.789', '-178000000 years', '24:00:00', '1 day', '00:00:00.000001'],
  'interval day to second(2)': ['3 days 04:05:06.78'],
  inet: ['0.0.0.0/0', '192.168.1.5/24', '192.168.1.5', '::1', 'fe80::1/64', '::ffff:1.2.3.4/128'],
  cidr: ['10.0.0.0/8', '::/0'],
  macaddr: ['08:00:2b:01:02:03'],
  macaddr8: ['08:00:2b:01:02:03:04:05'],
  json: ['{"a":1, "a":2}', ' [ 1 ] ', 'null', '"\\u00fc"', '1e1000'],
  jsonb: ['{"a": 1.00, "b": [null, true]}', 'null', '""', '123456789012345678901234567890.10'],
  jsonpath: ['$."a"[*]?(@ > 1)'],
  xml: ['<a b="c">text &amp; <!-- more --></a>', 'text only', ''],
  point: ['(0,-0)', '(Infinity,NaN)', '(0.1,1e-300)'],
  line: ['{1,-1,0}'],
  lseg: ['[(0,0),(1,1)]'],
  box: ['(1,1),(0,0)'],
  path: ['[(0,0),(1,1)]', '((0,0),(1,1),(2,0))'],
  polygon: ['((0,0),(1,1),(2,0))'],
  circle: ['<(0,0),1.5>'],
  tsvector: ["'a' 'b':1A,2 'it''s':3"],
  tsquery: ["'a' & !( 'b':*A | 'c' <-> 'd' )"],
  pg_lsn: ['0/0', 'FFFFFFFF/FFFFFFFF'],
  xid8: ['18446744073709551615'],
  xid: ['4294967295'],
  cid: ['4294967295'],
  oid: ['0', '4294967295'],
  tid: ['(4294967295,65535)'],
  txid_snapshot: ['10:20:10,14,15'],
  int4range: ['empty', '[1,5)', '(,)', '[5,)'],
  int8range: ['[-9223372036854775808,9223372036854775807)'],
  numrange: ['[1.0,1.00]', '(,5)'],
  tsrange: ['["2026-01-01 00:00:00",infinity)', '(,)'],
  tstzrange: ['["2026-01-01 00:00:00+00","2026-01-02 00:00:00+05:45")'],
  daterange: ['[2026-01-01,infinity)', '[-infinity,infinity]'],
  int4multirange: ['{}', '{[1,2),[5,7)}'],
  nummultirange: ['{[1.0,2.00),[3,)}'],
  'integer[]': ['{}', '{1,NULL,-1}', '[2:3]={1,2}', '[-1:0][5:6]={{1,2},{3,4}}', '{{{1}}}'],
  'text[]': ['{}', '{"",NULL,"NULL","a,b","{}","quote \\" and \\\\"}', '{{a},{" "}}'],
  'varchar(3)[]': ['{abc,""}'],
  'numeric[]': ['{1.0,1.00,NaN,NULL}', `{${'9'.repeat(100)}}`],
  'timestamptz[]': ['{infinity,"4713-01-01 00:00:00+00 BC"}'],
  'bytea[]': ['{"\\\\x00","\\\\x"}'],
  'jsonb[]': ['{"{\\"a\\": 1}",null}'],
  'int4range[]': ['{"[1,2)",empty}'],
  'uuid[]': ['{00000000-0000-0000-0000-000000000000}'],
  'boolean[]': ['{t,f,NULL}'],
  'point[]': ['{"(1,2)","(3,4)"}'],
  'box[]': ['{(1,1),(0,0);(3,3),(2,2)}'],
};

// Their binary form is an OID, which is another one on the target, or they have none at all: these make the stream text.
const TEXT_ONLY: Readonly<Record<string, readonly string[]>> = {
  regclass: ['pg_catalog.pg_class'],
  regtype: ['integer', 'timestamp with time zone', '12345'],
  regproc: ['pg_catalog.now'],
  regconfig: ['pg_catalog.english'],
  regrole: ['pg_monitor'],
  'regclass[]': ['{pg_catalog.pg_class,NULL}'],
  aclitem: ['pg_monitor=r*w/pg_monitor'],
};

const rows = (values: typeof VALUES): string =>
  Object.values(values)
    .flatMap((each, i) => each.map((value, n) => `INSERT INTO t (id, c${i}) VALUES (${i * 100 + n}, $v$${value}$v$)`))
    .join('; ');

function table(values: typeof VALUES, key: string): string {
  const columns = Object.keys(values).map((type, i) => `c${i} ${values[type]?.length === 0 ? 'int' : type}`);
  return `CREATE TABLE t (id int ${key}, ${columns.join(', ')})`;
}

function shapes(values: typeof VALUES): Shape[] {
  const changes = [
    // Every value once more by the stream, set over another, and over NULL.
    rows(values).replaceAll('VALUES (', 'VALUES (50 + '),
    'UPDATE t SET id = id + 10 WHERE id % 100 < 10',
    `UPDATE t SET (${Object.keys(values)
      .map((_, i) => `c${i}`)
      .join(', ')}) = (SELECT ${Object.keys(values)
      .map((_, i) => `(SELECT c${i} FROM t WHERE id = ${i * 100 + 50})`)
      .join(', ')}) WHERE id IN (10, 11)`,
    `UPDATE t SET ${Object.keys(values)
      .map((_, i) => `c${i} = NULL`)
      .join(', ')} WHERE id = 60`,
    'DELETE FROM t WHERE id % 100 IN (11, 61)',
  ];
  return [
    { name: 'every type, by key', ddl: table(values, 'PRIMARY KEY'), rows: rows(values), changes },
    {
      name: 'every type, by the image of the row',
      ddl: table(values, ''),
      rows: rows(values),
      changes: [
        ...changes,
        ...changes.slice(0, 1),
        'DELETE FROM t WHERE ctid IN (SELECT min(ctid) FROM t GROUP BY id HAVING count(*) > 1)',
      ],
    },
  ];
}

describe.each([
  { binary: 'auto', format: 'binary' },
  { binary: 'never', format: 'text' },
  { binary: 'auto', format: 'binary', gathered: true },
  { binary: 'never', format: 'text', gathered: true },
] as const)('a $format stream, gathered: $gathered', ({ binary, ...staging }) => {
  const all = known(shapes(VALUES));
  const stage = stageShapes(all, { ...staging, settings: { apply: { binary } } });
  test.each(all)('$name', (shape) => stage.expectSame(shape));
});

describe('types that hold names of objects', () => {
  const all = known(shapes(TEXT_ONLY));
  const stage = stageShapes(all, { format: 'text' });
  test.each(all)('$name', (shape) => stage.expectSame(shape));
});
