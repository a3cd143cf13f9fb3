import type { RelationName } from '../catalog/relation.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { rowSecurityRefusal, type RowSecurityRefusal } from '../postgres/row-security.ts';
import { describeError, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { partitionRefusal } from './partition-refusal.ts';

const AGAIN = 'It is tried again by itself.';

/** What of the target refused a statement, as its error names it. https://www.postgresql.org/docs/current/protocol-error-fields.html */
interface Refused {
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  readonly constraint?: string;
  readonly dataType?: string;
}

/** The table whose change was refused: its name in states and events, and the target's. */
export interface RefusedTable {
  readonly table: string;
  readonly target: RelationName;
}

/** Pure: what makes the target accept a change that the source has accepted, with the SQL where its error names what is in the way. */
export function remedyFor(error: unknown, of: RefusedTable | null): string {
  const refused = (error instanceof Error ? error : {}) as Refused;
  const drop = dropConstraint(refused);
  const placeless = partitionRefusal(error);
  if (placeless) return `${placeless.remedy}\n${AGAIN}`;
  const hidden = hiddenFrom(error, of);
  if (hidden) return `${hidden.remedy}\n${AGAIN}`;
  switch (sqlState(error)) {
    case SQLSTATE.untranslatable_character:
      return `The encoding of the target database lacks a character. Use a target database in UTF8; or change the value on the source, then: pgfollow resync ${of?.table ?? 'SCHEMA.TABLE'}`;
    case SQLSTATE.unique_violation:
    case SQLSTATE.exclusion_violation:
      return `Delete the row that is in the way on the target, or set apply.onConflict: source_wins.${drop && ` Where the source has no such constraint:\n${drop}\n`} ${AGAIN}`;
    case SQLSTATE.insufficient_privilege:
      return `Grant the target role INSERT, UPDATE, DELETE and TRUNCATE on the table. ${AGAIN}`;
    case SQLSTATE.foreign_key_violation:
      return `Let the target role SET session_replication_role, so that foreign keys are not checked again (PostgreSQL 15 and newer: GRANT SET ON PARAMETER session_replication_role TO …), or drop the constraint on the target${drop && `:\n${drop}\n`}. ${AGAIN}`;
    case SQLSTATE.check_violation:
      if (drop) return `Run on the target, where the source has no such constraint:\n${drop}\n${AGAIN}`;
      break;
    case SQLSTATE.not_null_violation:
      if (refused.column && refused.schema && refused.table)
        return `Run on the target, or give the column a default:\nALTER TABLE ${relation(refused)} ALTER COLUMN ${quoteIdent(refused.column)} DROP NOT NULL;\n${AGAIN}`;
      break;
    default:
  }
  return `Make the target accept what the source has accepted (type, constraint, trigger of the target table). ${AGAIN}`;
}

/** Pure: why the target refused something: what that means, where the server's words alone do not say, and these. */
export function reasonOf(error: unknown, of: RefusedTable | null = null): string {
  const told = partitionRefusal(error) ?? hiddenFrom(error, of);
  return told ? `${told.why}: ${describeError(error)}` : describeError(error);
}

function hiddenFrom(error: unknown, of: RefusedTable | null): RowSecurityRefusal | null {
  return of && rowSecurityRefusal(error, { role: 'target', relation: of.target });
}

// Of a table, or of a domain, whose error names no table.
function dropConstraint({ schema, table, dataType, constraint }: Refused): string {
  if (!schema || !constraint) return '';
  if (table) return `ALTER TABLE ${relation({ schema, table })} DROP CONSTRAINT ${quoteIdent(constraint)};`;
  return dataType ? `ALTER DOMAIN ${quoteRelation({ schema, name: dataType })} DROP CONSTRAINT ${quoteIdent(constraint)};` : '';
}

function relation({ schema = '', table = '' }: Refused): string {
  return quoteRelation({ schema, name: table });
}
