import type { Client } from 'pg';
import { complaint, fine, type Finding } from '../finding.ts';
import { quoteIdent } from '../postgres/quote.ts';

/** What a database brings along that values depend on. */
export interface Surroundings {
  readonly database: string;
  readonly encoding: string;
  /** `libc`, `icu`, `builtin`. */
  readonly provider: string;
  readonly collate: string;
  readonly ctype: string;
  /** Of the provider when the database was made, and now; null where the server does not keep it (before 15). */
  readonly collationVersion: string | null;
  readonly actualVersion: string | null;
  readonly extensions: readonly string[];
}

/** `version`: server_version_num. Columns that only newer versions have come through to_jsonb. */
export async function readSurroundings(client: Client, version: number): Promise<Surroundings> {
  const { rows } = await client.query<Surroundings>(
    `select d.datname as database, pg_catalog.pg_encoding_to_char(d.encoding) as encoding,
       case coalesce(j.d ->> 'datlocprovider', 'c') when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end as provider,
       coalesce(j.d ->> 'datlocale', j.d ->> 'daticulocale', d.datcollate) as collate, d.datctype as ctype,
       j.d ->> 'datcollversion' as "collationVersion",
       ${version >= 150000 ? 'pg_catalog.pg_database_collation_actual_version(d.oid)' : 'null'} as "actualVersion",
       array(select e.extname::pg_catalog.text from pg_catalog.pg_extension e order by 1) as extensions
     from pg_catalog.pg_database d, lateral (select pg_catalog.to_jsonb(d) as d) j
     where d.datname = pg_catalog.current_database()`,
  );
  const [row] = rows;
  if (!row) throw new Error('the current database is not in pg_database');
  return row;
}

/** Pure. */
export function classifySurroundings(source: Surroundings, target: Surroundings): Finding[] {
  return [
    encoding(source, target),
    collation(source, target),
    ...collationVersion('source', source),
    ...collationVersion('target', target),
    ...extensions(source, target),
  ];
}

function encoding(source: Surroundings, target: Surroundings): Finding {
  const both = `${source.encoding} on the source, ${target.encoding} on the target`;
  if (source.encoding === 'SQL_ASCII' && target.encoding !== 'SQL_ASCII') {
    return complaint('warning', 'target', 'ENCODING', {
      message: `The encoding is ${both}: SQL_ASCII takes any bytes, and the target refuses those that are no ${target.encoding}.`,
      remedy: 'Make sure that all text on the source is valid, or give the target database SQL_ASCII too.',
    });
  }
  if (source.encoding !== target.encoding && target.encoding !== 'UTF8') {
    return complaint('warning', 'target', 'ENCODING', {
      message: `The encoding is ${both}: characters that ${target.encoding} lacks are refused there.`,
      remedy: `Make the target database with UTF8: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0;`,
    });
  }
  return fine(
    'target',
    'ENCODING',
    `The encoding is ${source.encoding === target.encoding ? `${source.encoding} on both sides` : both}.`,
  );
}

function collation(source: Surroundings, target: Surroundings): Finding {
  const name = ({ provider, collate, ctype }: Surroundings): string =>
    `${collate}${provider === 'libc' && ctype !== collate ? `, ctype ${ctype}` : ''} (${provider})`;
  const versions = ({ collationVersion }: Surroundings): string => collationVersion ?? '';
  if (name(source) !== name(target)) {
    return complaint('warning', 'target', 'COLLATION', {
      message: `Text sorts by ${name(source)} on the source and by ${name(target)} on the target: ORDER BY may differ there, and so may ranges of text partitions.`,
      remedy: 'Nothing for replication. For the same order, make the target database with the same locale and provider.',
    });
  }
  if (versions(source) !== versions(target) && versions(source) !== '' && versions(target) !== '') {
    return complaint('warning', 'target', 'COLLATION', {
      message: `Both sides sort by ${name(source)}, but version ${versions(source)} on the source and ${versions(target)} on the target: ORDER BY may differ.`,
      remedy: 'Nothing for replication. A physical copy of one on the other machine would need REINDEX.',
    });
  }
  return fine('target', 'COLLATION', `Text sorts by ${name(source)} on both sides.`);
}

function collationVersion(
  where: 'source' | 'target',
  { database, collationVersion: made, actualVersion: now }: Surroundings,
): Finding[] {
  if (made === null || now === null || made === now) return [];
  return [
    complaint('warning', where, 'COLLATION_VERSION', {
      message: `The ${where} database was made with collation version ${made}, but the system has ${now}: its indexes on text may be out of order.`,
      remedy: `On the ${where}: REINDEX DATABASE ${quoteIdent(database)}; ALTER DATABASE ${quoteIdent(database)} REFRESH COLLATION VERSION;`,
    }),
  ];
}

function extensions(source: Surroundings, target: Surroundings): Finding[] {
  const missing = source.extensions.filter((name) => !target.extensions.includes(name));
  if (missing.length === 0) return [fine('target', 'EXTENSION', 'The target has every extension that the source has.')];
  return missing.map((name) =>
    complaint('warning', 'target', 'EXTENSION', {
      message: `The source has the extension ${name}, the target has not. Columns of its types need it.`,
      remedy: `Nothing, if no followed table uses it. Else on the target: CREATE EXTENSION ${quoteIdent(name)};`,
    }),
  );
}
