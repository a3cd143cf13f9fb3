import type { Client } from 'pg';
import type { Oid } from '../postgres/oid.ts';
import { isBuiltIn } from './built-in.ts';

/**
 * What the binary form of a type's values is made of, down to built-in types. That of a domain is the form of the type
 * behind it; that of a multirange is made of ranges, which have no name in it.
 */
export type TypeForm = { readonly name: string } & (
  | { readonly is: 'built-in'; readonly oid: Oid }
  /** Its label. */
  | { readonly is: 'enum' }
  | { readonly is: 'range' | 'multirange'; readonly of: TypeForm }
  /** `element`: what its values hold as their elements' type, which may be a domain. */
  | { readonly is: 'array'; readonly of: TypeForm; readonly element: Oid }
  /** `fields` without those that were dropped. */
  | { readonly is: 'composite'; readonly fields: readonly TypeField[] }
  /** Whatever its functions make of it; `extension` brought it, in this version. */
  | { readonly is: 'base'; readonly extension: string | null; readonly version: string | null }
  /** It has no functions for a binary form. */
  | { readonly is: 'unsent' }
);

export interface TypeField {
  readonly name: string;
  readonly form: TypeForm;
  /** The type itself, where `form` is that behind a domain. */
  readonly typeText: string;
  readonly typeOid: Oid;
}

interface FormRow {
  oid: Oid;
  name: string;
  kind: string;
  /** Behind a domain; element of an array; subtype of a range or multirange. */
  inner: Oid | null;
  element: boolean;
  field_names: string[];
  field_types: Oid[];
  field_texts: string[];
  sent: boolean;
  extension: string | null;
  version: string | null;
}

/** The forms of these types, by OID. One query; a type is never made of itself. */
export async function readTypeForms(client: Client, types: readonly Oid[]): Promise<Map<Oid, TypeForm>> {
  const { rows } = await client.query<FormRow>(FORMS, [types]);
  const byOid = new Map(rows.map((row) => [row.oid, row]));
  const forms = new Map<Oid, TypeForm>();
  const formOf = (oid: Oid): TypeForm => {
    const known = forms.get(oid);
    if (known) return known;
    const row = byOid.get(oid);
    const form: TypeForm = row ? makeForm(row, formOf) : { is: 'unsent', name: String(oid) };
    forms.set(oid, form);
    return form;
  };
  return new Map(types.map((oid) => [oid, formOf(oid)]));
}

function makeForm(row: FormRow, formOf: (oid: Oid) => TypeForm): TypeForm {
  const { oid, name, kind, inner } = row;
  if (isBuiltIn(oid)) return { is: 'built-in', name, oid };
  if (kind === 'd' && inner !== null) return formOf(inner);
  if (!row.sent) return { is: 'unsent', name };
  if (kind === 'e') return { is: 'enum', name };
  if (kind === 'c') {
    const fields = row.field_names.map((field, i) => ({
      name: field,
      form: formOf(row.field_types[i] ?? 0),
      typeText: row.field_texts[i] ?? '',
      typeOid: row.field_types[i] ?? 0,
    }));
    return { is: 'composite', name, fields };
  }
  if (inner === null) return { is: 'base', name, extension: row.extension, version: row.version };
  if (row.element) return { is: 'array', name, of: formOf(inner), element: inner };
  return { is: kind === 'm' ? 'multirange' : 'range', name, of: formOf(inner) };
}

const FORMS = `with recursive reached (oid) as (
  select unnest($1::pg_catalog.oid[])
  union
  select part.oid
  from reached
  join pg_catalog.pg_type t on t.oid = reached.oid
  cross join lateral (
    select t.typbasetype as oid where t.typtype = 'd'
    union all
    select t.typelem where t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
    union all
    select r.rngsubtype from pg_catalog.pg_range r where t.oid in (r.rngtypid, r.rngmultitypid)
    union all
    select a.atttypid from pg_catalog.pg_attribute a
    where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
  ) part
  where t.oid >= 10000
)
select t.oid, pg_catalog.format_type(t.oid, -1) as name, t.typtype as kind,
  case when t.typtype = 'd' then t.typbasetype
    when t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc then t.typelem
    else (select r.rngsubtype from pg_catalog.pg_range r where t.oid in (r.rngtypid, r.rngmultitypid)) end as inner,
  t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc as element,
  f.names as field_names, f.types as field_types, f.texts as field_texts,
  t.typsend <> 0 and t.typreceive <> 0 as sent, e.extname as extension, e.extversion as version
from reached
join pg_catalog.pg_type t on t.oid = reached.oid
cross join lateral (
  select coalesce(array_agg(a.attname::pg_catalog.text order by a.attnum), '{}') as names,
    coalesce(array_agg(a.atttypid order by a.attnum), '{}') as types,
    coalesce(array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) order by a.attnum), '{}') as texts
  from pg_catalog.pg_attribute a
  where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
) f
left join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.objid = t.oid
  and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.deptype = 'e'
left join pg_catalog.pg_extension e on e.oid = d.refobjid`;
