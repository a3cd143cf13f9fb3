import type { Role } from './connect.ts';
import { quoteRelation } from './quote.ts';
import { SQLSTATE, sqlState } from './sqlstate.ts';

/** What row level security keeps a role from, and what lets it through. */
export interface RowSecurityRefusal {
  readonly why: string;
  readonly remedy: string;
}

/** By the function of the server: the code alone is that of every missing right. */
const BY_POLICY = 'check_enable_rls';

/** Pure: policies apply to our role. */
export function isRowSecurity(error: unknown): boolean {
  return sqlState(error) === SQLSTATE.insufficient_privilege && (error as { routine?: unknown }).routine === BY_POLICY;
}

/**
 * Pure: policies of a table apply to our role, else null. Every session of ours has row_security off: there the server refuses a statement whose rows
 * a policy would choose, where it would leave rows out otherwise. https://www.postgresql.org/docs/current/ddl-rowsecurity.html
 */
export function rowSecurityRefusal(
  error: unknown,
  { role, relation }: { readonly role: Role; readonly relation: { readonly schema: string; readonly name: string } },
): RowSecurityRefusal | null {
  if (!isRowSecurity(error)) return null;
  const { hint, where } = error as { hint?: string; where?: string };
  const exempt = `As a superuser on the ${role}, for the role of ${role}.url:\nALTER ROLE … BYPASSRLS;`;
  // The statement of a function is refused, of a trigger mostly; its table may be any.
  if (where) {
    return {
      why: `a function that runs with it is held up by row level security on the ${role}`,
      remedy: `${exempt}\nor let the function named in the server's log have the rights of the owner of what it writes to: ALTER FUNCTION … SECURITY DEFINER;`,
    };
  }
  const table = quoteRelation(relation);
  return {
    why: `row level security of ${relation.schema}.${relation.name} applies to the role on the ${role}`,
    // Only an owner gets a hint.
    remedy: hint
      ? `On the ${role}:\nALTER TABLE ${table} NO FORCE ROW LEVEL SECURITY;\nor: ${exempt[0]?.toLowerCase()}${exempt.slice(1)}`
      : `${exempt}\nor make that role a member of the owner of ${table}, where it is not FORCE ROW LEVEL SECURITY: GRANT … TO …;`,
  };
}
