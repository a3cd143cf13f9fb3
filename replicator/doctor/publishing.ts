import type { Client } from 'pg';
import { displayName } from '../catalog/relation.ts';
import type { Config } from '../config/schema.ts';
import { complaint, fine, ofProblem, type Finding } from '../finding.ts';
import { hasMade, type PipelineRow } from '../metadata/pipeline-row.ts';
import type { Oid } from '../postgres/oid.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { Problem } from '../problem.ts';
import type { SourceIdentity } from '../source/identity.ts';
import { readPublication, type PublicationState } from '../source/publication-state.ts';
import {
  filterUnsupported,
  foreignPublication,
  lostPublication,
  neverMade,
  otherPublication,
  wantedTables,
} from '../source/publication.ts';
import { notPublishable } from '../source/publish-problem.ts';
import type { WantedTable } from '../source/publish-table.ts';
import { readPublished } from '../source/published.ts';
import { hasIdentity, planReplicaIdentity } from '../source/replica-identity.ts';
import { writeFault } from '../source/write-fault.ts';
import { some, tables, type Pairs } from './pairs.ts';
import type { TableRights } from './rights.ts';

/** The publication and what the role may do with it. */
export interface PublicationSight {
  /** Null where there is none. */
  readonly state: PublicationState | null;
  readonly owner: string | null;
  readonly owns: boolean;
  readonly mayCreate: boolean;
  readonly database: string;
  readonly user: string;
}

export async function readSight(source: Client, config: Config, { version }: SourceIdentity): Promise<PublicationSight> {
  const name = config.publication.names[0] ?? config.name;
  const { rows } = await source.query<Omit<PublicationSight, 'state'>>(
    `select pg_catalog.pg_get_userbyid(p.pubowner) as owner, coalesce(pg_catalog.pg_has_role(p.pubowner, 'USAGE'), false) as owns,
            pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') as "mayCreate",
            pg_catalog.current_database() as database, current_user as user
       from (values (1)) one left join pg_catalog.pg_publication p on p.pubname = $1`,
    [name],
  );
  const rights = rows[0] ?? { owner: null, owns: false, mayCreate: false, database: '', user: '' };
  return { ...rights, state: await readPublication(source, name, version) };
}

/** Pure: whether a publication that pgfollow manages can be made and kept in step. */
export function classifyManaged(
  config: Config,
  { version }: SourceIdentity,
  found: { pairs: Pairs; sight: PublicationSight; rights: ReadonlyMap<Oid, TableRights>; row: PipelineRow | null },
): Finding[] {
  const { sight, row } = found;
  const name = config.publication.names[0] ?? config.name;
  const wanted = wantedTables(
    found.pairs.pairs.map(({ mapping }) => mapping),
    found.pairs.relations,
  );
  const foreign =
    sight.state && foreignPublication(sight.state, { name, tables: wanted, createdByUs: row !== null && hasMade(row, name) });
  const members = new Set(sight.state?.members.map(({ oid }) => oid));
  return [
    foreign ? ofProblem('source', foreign) : publication(name, sight, row),
    ...owners(wanted, members, found.rights, sight.user),
    ...identities(wanted),
    ...unpublishable(wanted, { sourceVersion: version, generatedColumnsSent: found.pairs.generatedColumnsSent }),
  ];
}

function publication(
  name: string,
  { state, owner, owns, mayCreate, database, user }: PublicationSight,
  row: PipelineRow | null,
): Finding {
  if (row?.snapshotFinished && row.publicationCreated && !hasMade(row, name))
    return ofProblem('source', otherPublication(row.publication ?? name, name));
  if (state && owns)
    return fine('source', 'PUBLICATION', `The publication ${name} is there, with ${tables(state.members.length)}.`);
  if (state) {
    return complaint('error', 'source', 'PUBLICATION', {
      message: `The publication ${name} belongs to ${owner}, so role ${user} may not keep it in step.`,
      remedy: `GRANT ${quoteIdent(owner ?? '')} TO ${quoteIdent(user)}; or set publication.managed: false to use it as it is.`,
    });
  }
  if (row?.snapshotFinished) return ofProblem('source', row.publicationCreated ? lostPublication(name) : neverMade(name));
  if (mayCreate) return fine('source', 'PUBLICATION', `The publication ${name} will be made.`);
  return complaint('error', 'source', 'PUBLICATION', {
    message: `Role ${user} may not make the publication ${name}.`,
    remedy: `GRANT CREATE ON DATABASE ${quoteIdent(database)} TO ${quoteIdent(user)}; or make it yourself and set publication.managed: false.`,
  });
}

// Only the owner of a table may publish it, or set its replica identity.
function owners(
  wanted: readonly WantedTable[],
  members: ReadonlySet<Oid>,
  rights: ReadonlyMap<Oid, TableRights>,
  user: string,
): Finding[] {
  const concerned = wanted.filter((table) => !members.has(table.relation.oid) || planOf(table).length > 0);
  const foreign = concerned.filter(({ relation }) => rights.get(relation.oid)?.owns === false);
  if (foreign.length === 0) return [fine('source', 'OWN_TABLES', 'The role may publish every table that is followed.')];
  const names = foreign.map(({ relation }) => displayName(relation));
  const owners = [...new Set(foreign.map(({ relation }) => rights.get(relation.oid)?.owner ?? ''))];
  return [
    complaint('error', 'source', 'OWN_TABLES', {
      table: names.length === 1 ? (names[0] ?? null) : null,
      message: `Role ${user} does not own ${tables(names.length)} of the source (${some(names)}), so it may not publish them.`,
      remedy: `GRANT ${owners.map(quoteIdent).join(', ')} TO ${quoteIdent(user)}; or make the publication yourself and set publication.managed: false.`,
    }),
  ];
}

function identities(wanted: readonly WantedTable[]): Finding[] {
  const findings = wanted.flatMap((table): Finding[] => {
    const { relation } = table;
    const name = displayName(relation);
    const [change] = planOf(table);
    if (!change || change.to.kind !== 'full') return [];
    return [
      complaint('warning', 'source', 'REPLICA_IDENTITY', {
        table: name,
        message: `${name} has no key: pgfollow sets REPLICA IDENTITY FULL, and each UPDATE and DELETE carries the whole old row.`,
        remedy: `Nothing, or give it a key: ALTER TABLE ${quoteRelation(relation)} ADD PRIMARY KEY (…);`,
      }),
    ];
  });
  const index = wanted.filter((table) => planOf(table).some(({ to }) => to.kind !== 'full')).length;
  const others = wanted.length - findings.length - index;
  const said = [
    `${tables(others)} can be followed as they are`,
    ...(index > 0 ? [`${tables(index)} by an index that pgfollow chooses`] : []),
  ];
  return [fine('source', 'REPLICA_IDENTITY', `Rows are found by key or identity: ${said.join(', ')}.`), ...findings];
}

function unpublishable(
  wanted: readonly WantedTable[],
  published: { sourceVersion: number; generatedColumnsSent: 'none' | 'stored' },
): Finding[] {
  return wanted.flatMap((table) => {
    if (table.where !== null && published.sourceVersion < 150000) return [ofProblem('source', filterUnsupported(table))];
    const fault = writeFault({ ...table, plan: planOf(table), filterColumns: [] }, published);
    return fault ? [ofProblem('source', notPublishable(table.relation, fault.message, fault.remedy))] : [];
  });
}

function planOf({ relation, partitions, excludeColumns }: WantedTable) {
  return planReplicaIdentity(relation, partitions, excludeColumns);
}

/** What publications that are used as they are do not let through. Their absence is found before (PUBLICATION_MISSING). */
export async function examineUnmanaged(source: Client, config: Config, { pairs, relations }: Pairs): Promise<Finding[]> {
  const { names, viaPartitionRoot } = config.publication;
  const published = await readPublished(source, names);
  const findings = published.problems.map((problem) => ofProblem('source', problem));
  if (published.viaPartitionRoot !== viaPartitionRoot && relations.some(({ kind }) => kind === 'partitioned')) {
    findings.push(
      complaint('warning', 'source', 'PARTITION_ROOT', {
        message: `The publications ${names.join(', ')} publish partitions ${published.viaPartitionRoot ? 'as their partitioned table' : 'under their own names'}, but publication.viaPartitionRoot is ${viaPartitionRoot}.`,
        remedy: `Set publication.viaPartitionRoot: ${published.viaPartitionRoot}; or ${names.map((name) => `ALTER PUBLICATION ${quoteIdent(name)} SET (publish_via_partition_root = ${viaPartitionRoot});`).join(' ')}`,
      }),
    );
  }
  const keyless = pairs.filter(({ source: relation }) => relation.kind === 'table' && !hasIdentity(relation));
  for (const { name, source: relation } of keyless) {
    const problem = new Problem(
      'TABLE_NOT_PUBLISHABLE',
      `${name} is published without a replica identity: the source refuses its UPDATEs and DELETEs.`,
      {
        table: name,
        remedy: `ALTER TABLE ${quoteRelation(relation)} REPLICA IDENTITY FULL; or give it a primary key.`,
      },
    );
    findings.push(ofProblem('source', problem));
  }
  if (findings.length === 0)
    findings.push(fine('source', 'PUBLICATION', `The publications ${names.join(', ')} publish ${tables(pairs.length)}.`));
  return findings;
}
