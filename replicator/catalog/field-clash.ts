import { quoteIdent } from '../postgres/quote.ts';
import type { ColumnType } from './relation.ts';
import type { TypeField, TypeForm } from './type-forms.ts';

/** Why values of a composite type would end up in the wrong fields, and the SQL for the target that helps. */
export interface FieldClash {
  readonly message: string;
  readonly statement: string;
}

/**
 * A composite's fields are told by their place, as text and in binary: another number of them cannot be read, and the same
 * ones in another order would be mixed up in silence. Names that differ without that are no matter. Null where all is well.
 */
export function fieldClash(source: ColumnType, target: ColumnType): FieldClash | null {
  return source.form && target.form ? clash(source.form, target.form) : null;
}

function clash(source: TypeForm, target: TypeForm): FieldClash | null {
  if (source.is === 'composite' && target.is === 'composite') {
    if (isMixedUp(source.fields, target.fields)) return toFollow(source, target);
    for (const [i, { form }] of source.fields.entries()) {
      const inside = clash(form, target.fields[i]?.form ?? form);
      if (inside) return inside;
    }
    return null;
  }
  return 'of' in source && 'of' in target ? clash(source.of, target.of) : null;
}

function isMixedUp(source: readonly TypeField[], target: readonly TypeField[]): boolean {
  if (source.length !== target.length) return true;
  return source.some(({ name }, i) => {
    const there = target.findIndex((field) => field.name === name);
    return there >= 0 && there !== i;
  });
}

type Composite = Extract<TypeForm, { is: 'composite' }>;

// From the first difference on the target's fields are replaced.
function toFollow(source: Composite, target: Composite): FieldClash {
  const names = ({ fields }: Composite): string => `(${fields.map(({ name }) => name).join(', ')})`;
  let same = 0;
  while (same < target.fields.length && source.fields[same]?.name === target.fields[same]?.name) same++;
  const drop = target.fields.slice(same).map(({ name }) => `DROP ATTRIBUTE ${quoteIdent(name)}`);
  const add = source.fields.slice(same).map(({ name, typeText }) => `ADD ATTRIBUTE ${quoteIdent(name)} ${typeText}`);
  return {
    message: `type ${target.name} has the fields ${names(target)} there, and ${names(source)} on the source`,
    statement: `ALTER TYPE ${target.name} ${[...drop, ...add].join(', ')};`,
  };
}
