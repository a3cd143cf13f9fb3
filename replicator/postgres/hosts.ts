import type { Client } from 'pg';

/** What a URI may ask of the server it ends up at. */
const SESSION_ATTRIBUTES = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;
export type SessionAttributes = (typeof SESSION_ATTRIBUTES)[number];

/**
 * One URI for each host that a URI names, in its order: `postgresql://u@a:1,b/d` -> `postgresql://u@a:1/d`,
 * `postgresql://u@b/d`. https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS
 */
export function hostUrls(url: string): string[] {
  const { before, hosts, after } = split(url);
  return hosts.split(',').map((host) => `${before}${host}${after}`);
}

/** The same URI for the host alone that a client has found, so that what belongs together ends up together. */
export function pinnedUrl(url: string, client: Pick<Client, 'host' | 'port'>): string {
  const urls = hostUrls(url);
  if (urls.length === 1) return url;
  const { before, after } = split(url);
  const host = client.host.includes(':') ? `[${client.host}]` : encodeURIComponent(client.host);
  return `${before}${host}:${client.port}${after}`;
}

/** target_session_attrs of a URI. Throws RangeError for what libpq does not know either. */
export function sessionAttributes(query: URLSearchParams): SessionAttributes {
  const text = query.get('target_session_attrs') ?? 'any';
  const known = SESSION_ATTRIBUTES.find((each) => each === text);
  if (!known) throw new RangeError(`target_session_attrs "${text}" is not one of ${SESSION_ATTRIBUTES.join(', ')}`);
  return known;
}

/** Which kinds of server are looked for, one after the other, over all hosts. */
export function attributeRounds(wanted: SessionAttributes): readonly Exclude<SessionAttributes, 'prefer-standby'>[] {
  return wanted === 'prefer-standby' ? ['standby', 'any'] : [wanted];
}

/** Why this server is not the one that is looked for; null when it is. Our sessions are never read-only by default. */
export async function misfit(client: Client, wanted: Exclude<SessionAttributes, 'prefer-standby'>): Promise<string | null> {
  if (wanted === 'any') return null;
  const { rows } = await client.query<{ standby: boolean }>('SELECT pg_catalog.pg_is_in_recovery() AS standby');
  const standby = rows[0]?.standby ?? false;
  const wantsStandby = wanted === 'standby' || wanted === 'read-only';
  if (standby === wantsStandby) return null;
  return `it is a ${standby ? 'standby' : 'primary'}, and target_session_attrs is ${wanted}`;
}

/** What stands before the hosts of a URI, the hosts, and what stands behind them. */
function split(url: string): { before: string; hosts: string; after: string } {
  const start = url.indexOf('://') + 3;
  const length = url.slice(start).search(/[/?]/);
  const end = length === -1 ? url.length : start + length;
  const at = url.slice(start, end).lastIndexOf('@');
  const from = start + at + 1;
  return { before: url.slice(0, from), hosts: url.slice(from, end), after: url.slice(end) };
}
