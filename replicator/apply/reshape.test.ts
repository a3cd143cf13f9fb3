import { expect, test } from 'vitest';
import type { TypeForm } from '../catalog/type-forms.ts';
import { TYPE_OID } from '../postgres/oid.ts';
import { OtherType, reshapeBinary } from './reshape-binary.ts';
import { marked, reshapeText } from './reshape-text.ts';
import { holdsChars, valueShape, type ValueShape } from './value-shape.ts';
import { bytes, int32, int8 } from '../testing/pgoutput-bytes.ts';

const builtIn = (oid: number): TypeForm => ({ is: 'built-in', name: '', oid });
const composite = (...fields: [form: TypeForm, typeOid: number][]): TypeForm => ({
  is: 'composite',
  name: 'c',
  fields: fields.map(([form, typeOid], i) => ({ name: `f${i}`, form, typeText: '', typeOid })),
});
const arrayOf = (of: TypeForm, element: number): TypeForm => ({ is: 'array', name: 'a', of, element });
const range = (of: TypeForm): TypeForm => ({ is: 'range', name: 'r', of });
const multirange = (of: TypeForm): TypeForm => ({ is: 'multirange', name: 'm', of });

const INT = builtIn(TYPE_OID.int4);
const CHAR = builtIn(TYPE_OID.char);
const CHARS = builtIn(1002);
const PAIR = composite([builtIn(TYPE_OID.text), TYPE_OID.text], [CHAR, TYPE_OID.char]);

function shape(source: TypeForm, target = source, octal = true): ValueShape {
  const found = valueShape(source, target, octal);
  if (!found) throw new Error('nothing to look at');
  return found;
}

// ÿ in the place of a byte that is told by its number.
test.each<[form: TypeForm, text: string, becomes: string | null]>([
  [CHARS, '{a,NULL,b}', null],
  [CHARS, '{}', null],
  [CHARS, String.raw`{a,"\\377",""}`, '{a,"ÿ",""}'],
  [CHARS, String.raw`{"\\",377,"\\37"}`, null],
  [CHARS, String.raw`[0:1][-1:0]={{NULL,"\\377"},{"\"","\\377"}}`, String.raw`[0:1][-1:0]={{NULL,"ÿ"},{"\"","ÿ"}}`],
  [PAIR, String.raw`("\\377",a)`, null],
  [PAIR, String.raw`("\\377","\\377")`, String.raw`("\\377","ÿ")`],
  [PAIR, String.raw`(,"\\377")`, '(,"ÿ")'],
  [PAIR, String.raw`("say ""\\"", (yes)","\\377")`, String.raw`("say ""\\"", (yes)","ÿ")`],
  [PAIR, '(,)', null],
  [arrayOf(PAIR, 20000), String.raw`{"(\"\\\\377\",\"\\\\377\")",NULL,"(,)"}`, String.raw`{"(\"\\\\377\",\"ÿ\")",NULL,"(,)"}`],
  [composite([arrayOf(PAIR, 20000), 20001]), String.raw`("{""(,\\""\\\\\\\\377\\"")""}")`, String.raw`("{""(,\\""ÿ\\"")""}")`],
  [range(CHAR), 'empty', null],
  [range(CHAR), String.raw`["\\377",)`, '["ÿ",)'],
  [range(CHAR), String.raw`(,"\\377"]`, '(,"ÿ"]'],
  [multirange(CHAR), '{}', null],
  [multirange(CHAR), String.raw`{[a,"\""),["\\377",)}`, String.raw`{[a,"\""),["ÿ",)}`],
])('a "char" in octal inside of text: %j %s', (form, text, becomes) => {
  expect(holdsChars(shape(form))).toBe(true);
  expect(reshapeText(shape(form), text)?.replaceAll('\u01ff', 'ÿ') ?? null).toBe(becomes);
});

test('bytes that are told by their number stand behind a mark, and so does the mark', () => {
  expect(marked('a\u0001b\u01ff\u0180é').toString('latin1')).toBe('a\u0001129b\u0001127\u0001000é');
});

test('where the target reads octal, or another type is there, nothing has to be looked at', () => {
  expect(valueShape(CHARS, CHARS, false)).toBeNull();
  expect(valueShape(CHARS, builtIn(1009), true)).toBeNull();
  expect(valueShape(INT, INT, true)).toBeNull();
  expect(valueShape(arrayOf(INT, TYPE_OID.int4), arrayOf(INT, TYPE_OID.int4), true)).toBeNull();
});

const LESS = composite([INT, TYPE_OID.int4]);
const MORE = composite([INT, TYPE_OID.int4], [INT, 30000], [INT, TYPE_OID.int4]);

test.each<[source: TypeForm, target: TypeForm, text: string, becomes: string | null]>([
  [LESS, MORE, '(1)', '("1",,)'],
  [LESS, MORE, '()', '(,,)'],
  [MORE, MORE, '(1,2)', '("1","2",)'],
  [MORE, MORE, '(1,2,3)', null],
  [MORE, LESS, '(1,2,3)', null],
  [arrayOf(MORE, 20000), arrayOf(MORE, 30001), '{(1),NULL,"(1,2,3)"}', String.raw`{"(\"1\",,)",NULL,"(1,2,3)"}`],
])('fields that were added since: %# %s', (source, target, text, becomes) => {
  expect(reshapeText(shape(source, target), text)).toBe(becomes);
});

const one = bytes(int32(TYPE_OID.int4), int32(4), int32(1));

test('fields that were added since, in binary', () => {
  const row = bytes(int32(1), one);
  const longer = bytes(int32(3), one, int32(30000), int32(-1), int32(TYPE_OID.int4), int32(-1));
  const there = bytes('xx', row, 'yy');
  expect(reshapeBinary(shape(LESS, MORE), there, 2, 2 + row.length)).toEqual(longer);
  expect(reshapeBinary(shape(MORE), longer, 0, longer.length)).toBeNull();
  const valued = (value: Buffer): Buffer => bytes(int32(value.length), value);
  const array = (value: Buffer): Buffer => bytes(int32(1), int32(1), int32(20000), int32(2), int32(-1), int32(-1), valued(value));
  expect(reshapeBinary(shape(arrayOf(LESS, 20000), arrayOf(MORE, 1)), array(row), 0, array(row).length)).toEqual(array(longer));
  const ranges = (value: Buffer): Buffer => bytes(int32(1), valued(bytes(int8(0x12), valued(value))));
  expect(reshapeBinary(shape(multirange(LESS), multirange(MORE)), ranges(row), 0, ranges(row).length)).toEqual(ranges(longer));
});

test('a value that names another type of ones own than the catalog does was written before', () => {
  const named = (type: number): Buffer => bytes(int32(1), int32(type), int32(4), int32(1));
  const own = composite([INT, 20007]);
  const look = (type: number) => reshapeBinary(shape(own), named(type), 0, named(type).length);
  expect(look(20007)).toBeNull();
  expect(() => look(20008)).toThrow(OtherType);
  const array = (type: number): Buffer => bytes(int32(0), int32(0), int32(type));
  expect(() => reshapeBinary(shape(arrayOf(INT, 20007)), array(20008), 0, 12)).toThrow(OtherType);
  // The target looks at built-in ones itself.
  expect(look(TYPE_OID.int4)).toBeNull();
});
