import { isBuiltIn } from '../catalog/built-in.ts';
import { CHAR_ARRAY } from '../catalog/chars.ts';
import type { TypeForm } from '../catalog/type-forms.ts';
import { TYPE_OID, type Oid } from '../postgres/oid.ts';

/** What inside a value has to be looked at on its way, and may have to be changed; null for what goes as it came. */
export type ValueShape =
  /** `element`: the type that its binary form names; null for one that the target looks at itself. */
  | { readonly is: 'array'; readonly of: ValueShape | null; readonly element: Oid | null }
  | { readonly is: 'range' | 'multirange'; readonly of: ValueShape }
  /** `target`: types of all the fields that the target's type has. Values from before some were added lack these. */
  | { readonly is: 'composite'; readonly fields: readonly FieldShape[]; readonly target: readonly Oid[] }
  /** A "char" as text, in octal above 127. */
  | { readonly is: 'char' };

interface FieldShape {
  readonly of: ValueShape | null;
  /** As `element` of an array. */
  readonly type: Oid | null;
}

/**
 * What to look at in values of a column, by the forms of its type on both sides. `octal`: a "char" above 127 comes in octal, which the
 * target does not read.
 */
export function valueShape(source: TypeForm, target: TypeForm, octal: boolean): ValueShape | null {
  switch (source.is) {
    case 'built-in':
      if (!octal || target.is !== 'built-in' || target.oid !== source.oid) return null;
      if (source.oid === CHAR_ARRAY) return { is: 'array', of: { is: 'char' }, element: null };
      return source.oid === TYPE_OID.char ? { is: 'char' } : null;
    case 'array': {
      if (target.is !== 'array') return null;
      const of = valueShape(source.of, target.of, octal);
      const element = own(source.element);
      return of || element !== null ? { is: 'array', of, element } : null;
    }
    case 'range':
    case 'multirange': {
      const of = target.is === source.is ? valueShape(source.of, target.of, octal) : null;
      return of && { is: source.is, of };
    }
    case 'composite': {
      if (target.is !== 'composite') return null;
      const fields = source.fields.map(({ form, typeOid }, i): FieldShape => {
        const there = target.fields[i];
        return { of: there ? valueShape(form, there.form, octal) : null, type: own(typeOid) };
      });
      return { is: 'composite', fields, target: target.fields.map(({ typeOid }) => typeOid) };
    }
    default:
      return null;
  }
}

/** Whether a "char" in octal may be in there. */
export function holdsChars(shape: ValueShape | null): boolean {
  switch (shape?.is) {
    case 'char':
      return true;
    case 'composite':
      return shape.fields.some(({ of }) => holdsChars(of));
    case 'array':
    case 'range':
    case 'multirange':
      return holdsChars(shape.of);
    default:
      return false;
  }
}

// The target compares the OIDs of built-in types with what it expects, and takes any for its own ones.
function own(type: Oid): Oid | null {
  return isBuiltIn(type) ? null : type;
}
