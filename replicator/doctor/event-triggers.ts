import type { Client } from 'pg';
import { complaint, fine, type Finding } from '../finding.ts';
import type { Role } from '../postgres/connect.ts';
import { some } from './pairs.ts';

/** An event trigger that fires for statements of ours. */
export interface EventTrigger {
  readonly name: string;
  /** Its function, quoted. */
  readonly calls: string;
  readonly event: string;
  /** The function brings a search_path of its own. */
  readonly hasPath: boolean;
}

// Those of extensions know what they do, and cannot be altered.
const FIRING = `select e.evtname as name, pg_catalog.format('%I.%I', n.nspname, p.proname) as calls, e.evtevent as event,
  exists (select from pg_catalog.unnest(p.proconfig) setting where setting like 'search\\_path=%') as "hasPath"
from pg_catalog.pg_event_trigger e join pg_catalog.pg_proc p on p.oid = e.evtfoid join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where e.evtenabled <> 'D' and (e.evttags is null or e.evttags && $1)
  and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass and d.objid = e.oid and d.deptype = 'e')
order by e.evtname`;

/** Commands of ours, as event triggers know them. */
const TAGS: Readonly<Record<Role, readonly string[]>> = {
  source: ['CREATE PUBLICATION', 'ALTER PUBLICATION', 'DROP PUBLICATION', 'ALTER TABLE'],
  target: [
    'CREATE SCHEMA',
    'CREATE TABLE',
    'CREATE TABLE AS',
    'CREATE INDEX',
    'CREATE SEQUENCE',
    'CREATE TYPE',
    'CREATE DOMAIN',
    'CREATE FUNCTION',
    'CREATE EXTENSION',
    'ALTER TABLE',
    'ALTER SEQUENCE',
    'DROP TABLE',
    'DROP SCHEMA',
    'COMMENT',
  ],
};

export async function readEventTriggers(client: Client, role: Role): Promise<EventTrigger[]> {
  const { rows } = await client.query<EventTrigger>(FIRING, [TAGS[role]]);
  return rows;
}

/** Pure: one that misses a name under our search_path, or refuses what it sees, is in the way. */
export function classifyEventTriggers(role: Role, triggers: readonly EventTrigger[]): Finding[] {
  if (triggers.length === 0) return [fine(role, 'EVENT_TRIGGERS', 'No event trigger fires for what pgfollow does.')];
  const bare = triggers.filter(({ hasPath }) => !hasPath);
  const said = `Event triggers of the ${role} fire for what pgfollow does there: ${some(triggers.map(({ name, calls, event }) => `${name} (${event}, ${calls})`))}.`;
  if (bare.length === 0) return [fine(role, 'EVENT_TRIGGERS', said)];
  const login = bare.some(({ event }) => event === 'login');
  return [
    complaint('warning', role, 'EVENT_TRIGGERS', {
      message: `${said} They run with an empty search_path and row_security off; what they refuse, or do not find, pgfollow cannot do${login ? ', or it is not let in at all' : ''}.`,
      remedy: `Nothing, where their functions name everything with its schema and let pgfollow pass. Else, with the schemas that they need: ${[...new Set(bare.map(({ calls }) => calls))].map((calls) => `ALTER FUNCTION ${calls}() SET search_path = public;`).join(' ')}`,
    }),
  ];
}
