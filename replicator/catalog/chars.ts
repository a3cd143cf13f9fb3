import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import type { TypeForm } from './type-forms.ts';

/** "char"[] */
export const CHAR_ARRAY: Oid = 1002;

/** Whether values of a type can hold a "char" inside. What it prints above 127 is another text since 16. */
export function holdsChar(form: TypeForm): boolean {
  switch (form.is) {
    case 'built-in':
      return form.oid === TYPE_OID.char || form.oid === CHAR_ARRAY;
    case 'array':
    case 'range':
    case 'multirange':
      return holdsChar(form.of);
    case 'composite':
      return form.fields.some((field) => holdsChar(field.form));
    default:
      return false;
  }
}
