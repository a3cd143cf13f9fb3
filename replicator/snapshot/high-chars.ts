import { TYPE_OID } from '../postgres/oid.ts';
import { CHAR_ARRAY } from '../catalog/chars.ts';
import type { TypeForm } from '../catalog/type-forms.ts';
import { quoteIdent } from '../postgres/quote.ts';

/** SQL that is true where a value holds a "char" above 127 somewhere inside; null for a type that has none. */
export function holdsHighCharSql(value: string, form: TypeForm, depth = 0): string | null {
  switch (form.is) {
    case 'built-in':
      if (form.oid === TYPE_OID.char) return `${value}::pg_catalog.int4 < 0`;
      return form.oid === CHAR_ARRAY ? anyElement(value, { is: 'built-in', name: '"char"', oid: TYPE_OID.char }, depth) : null;
    case 'array':
    case 'multirange':
      return anyElement(value, form.is === 'array' ? form.of : { is: 'range', name: '', of: form.of }, depth);
    case 'range': {
      const bounds = ['lower', 'upper'].map((bound) => holdsHighCharSql(`pg_catalog.${bound}(${value})`, form.of, depth));
      return anyOf(bounds);
    }
    case 'composite':
      return anyOf(form.fields.map((field) => holdsHighCharSql(`(${value}).${quoteIdent(field.name)}`, field.form, depth)));
    default:
      return null;
  }
}

// In the select list an element stays one value, composite or not.
function anyElement(value: string, element: TypeForm, depth: number): string | null {
  const inside = holdsHighCharSql(`e${depth}.v`, element, depth + 1);
  return inside && `EXISTS (SELECT FROM (SELECT pg_catalog.unnest(${value}) AS v) AS e${depth} WHERE ${inside})`;
}

function anyOf(conditions: readonly (string | null)[]): string | null {
  const given = conditions.filter((condition) => condition !== null);
  return given.length === 0 ? null : `(${given.join(' OR ')})`;
}
