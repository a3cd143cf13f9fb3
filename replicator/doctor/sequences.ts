import type { Client } from 'pg';
import { displayName } from '../catalog/relation.ts';
import { pairSequences, readSequences, readSequenceUses, type SequencePair, type SequenceUse } from '../catalog/sequences.ts';
import { complaint, fine, type Finding } from '../finding.ts';
import type { Oid } from '../postgres/oid.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { some, type TablePair } from './pairs.ts';

/** Sequences that followed tables take values from, with those of the target. */
export interface SequenceSight {
  readonly uses: readonly SequenceUse[];
  readonly pairs: readonly SequencePair[];
  /** Sequences of the target that its role may set. */
  readonly settable: ReadonlySet<Oid>;
}

export async function readSequenceSight(
  ends: { source: Client; target: Client },
  pairs: readonly TablePair[],
): Promise<SequenceSight> {
  const mappings = pairs.filter(({ target }) => target !== null).map(({ mapping }) => mapping);
  const sources = mappings.map(({ source }) => source);
  const uses = await readSequenceUses(ends.source, sources);
  const target = await readSequenceUses(
    ends.target,
    mappings.map((mapping) => mapping.target),
  );
  const names = new Map(uses.map(({ sequence }) => [displayName(sequence), sequence]));
  const named = await readSequences(ends.target, [...names.values()]);
  const found = pairSequences(mappings, { source: uses, target, named });
  const { rows } = await ends.target.query<{ oid: Oid }>(
    `select oid from unnest($1::pg_catalog.oid[]) oid
      where pg_catalog.has_sequence_privilege(oid, 'UPDATE') and pg_catalog.has_sequence_privilege(oid, 'SELECT')`,
    [found.map((pair) => pair.target.oid)],
  );
  return { uses, pairs: found, settable: new Set(rows.map(({ oid }) => oid)) };
}

/** Pure: whether the target's sequences can be kept as far as the source's, so that it could take over one day. */
export function classifySequences(
  { uses, pairs, settable }: SequenceSight,
  roles: { readonly source: string; readonly target: string },
): Finding[] {
  if (uses.length === 0) return [];
  const unreadable = pairs.filter((pair) => !pair.source.readable);
  const unsettable = pairs.filter((pair) => !settable.has(pair.target.oid));
  const findings: Finding[] = [];
  if (unreadable.length > 0) {
    const names = unreadable.map((pair) => pair.source);
    findings.push(
      complaint('warning', 'source', 'SEQUENCES', {
        message: `Role ${roles.source} may not read ${some(names.map(displayName))}: how far they are is not followed.`,
        remedy: `GRANT SELECT ON SEQUENCE ${names.map(quoteRelation).join(', ')} TO ${quoteIdent(roles.source)};`,
      }),
    );
  }
  if (unsettable.length > 0) {
    const names = unsettable.map((pair) => pair.target);
    findings.push(
      complaint('warning', 'target', 'SEQUENCES', {
        message: `Role ${roles.target} may not set ${some(names.map(displayName))}: they stay behind those of the source.`,
        remedy: `GRANT SELECT, UPDATE ON SEQUENCE ${names.map(quoteRelation).join(', ')} TO ${quoteIdent(roles.target)};`,
      }),
    );
  }
  if (findings.length > 0) return findings;
  const known = new Set(pairs.map((pair) => pair.source.oid));
  const missing = uses
    .filter(({ sequence }) => !known.has(sequence.oid))
    .map(({ table, column }) => `${displayName(table)}.${column}`);
  const said = `${uses.length} ${uses.length === 1 ? 'column takes its values from a sequence' : 'columns take their values from sequences'}`;
  const without = missing.length === 0 ? '' : `; without one on the target: ${some(missing)}`;
  return [fine('target', 'SEQUENCES', `${said}${without}.`)];
}
