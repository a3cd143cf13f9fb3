import type { Config } from './schema.ts';
import type { Path } from './setting-list.ts';
import { matchTables, parseRelationName } from './table-pattern.ts';

/** Settings that are each allowed, but not together. */
export interface CrossIssue {
  readonly path: Path;
  readonly allowed: string;
  /** Other settings the rule looks at: where one of them is wrong itself, the rule says nothing. */
  readonly dependsOn: readonly string[];
}

/** Every rule between settings that this configuration breaks. */
export function crossCheck(config: Config): CrossIssue[] {
  return [...checkDatabases(config), ...checkHttp(config), ...checkPublication(config), ...checkMap(config)];
}

/** Whether only this machine can reach an address. */
function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?|\[?::ffff:127(\.\d{1,3}){3}\]?)$/i.test(host);
}

function checkDatabases({ source, target }: Config): CrossIssue[] {
  if (source.url !== target.url) return [];
  return [
    { path: ['target', 'url'], allowed: 'source and target must be two databases', dependsOn: ['source.url', 'target.url'] },
  ];
}

function checkHttp({ http }: Config): CrossIssue[] {
  if (isLoopback(http.host) || http.token !== null || http.insecure) return [];
  return [
    {
      path: ['http', 'host'],
      allowed:
        'other machines can reach this address, so http.token is needed (PGFOLLOW_API_TOKEN or PGFOLLOW_API_TOKEN_FILE); ' +
        'allowed without: 127.0.0.1, ::1, localhost, or http.insecure: true',
      dependsOn: ['http.host', 'http.token', 'http.insecure'],
    },
  ];
}

function checkPublication({ publication, tables }: Config): CrossIssue[] {
  const issues: CrossIssue[] = [];
  if (publication.managed && publication.names.length !== 1) {
    issues.push({
      path: ['publication', 'names'],
      allowed: 'one name while publication.managed is true; publication.managed: false uses several that exist already',
      dependsOn: ['publication.names', 'publication.managed'],
    });
  }
  for (const [at, { where }] of tables.map.entries()) {
    if (where === null || publication.managed) continue;
    issues.push({
      path: ['tables', 'map', at, 'where'],
      allowed: 'a row filter is part of the publication, and publication.managed: false leaves that as it is; put WHERE there',
      dependsOn: ['tables.map', 'publication.managed'],
    });
  }
  return issues;
}

function checkMap({ tables }: Config): CrossIssue[] {
  const issues: CrossIssue[] = [];
  const included = matchTables(tables.include);
  const excluded = matchTables(tables.exclude);
  const seen = { from: new Map<string, number>(), to: new Map<string, number>() };
  for (const [at, entry] of tables.map.entries()) {
    const path = (...key: string[]): Path => ['tables', 'map', at, ...key];
    const dependsOn = ['tables.map'];
    for (const side of ['from', 'to'] as const) {
      const name = parseRelationName(entry[side]);
      const key = JSON.stringify([name.schema, name.name]);
      const first = seen[side].get(key);
      if (first === undefined) seen[side].set(key, at);
      else issues.push({ path: path(side), allowed: `tables.map[${first}].${side} names the same table`, dependsOn });
    }
    const from = parseRelationName(entry.from);
    if (!included(from) || excluded(from)) {
      const reason = included(from) ? 'tables.exclude leaves it out' : 'tables.include does not match it';
      issues.push({
        path: path('from'),
        allowed: `this table is not followed: ${reason}`,
        dependsOn: ['tables.map', 'tables.include', 'tables.exclude'],
      });
    }
    const targets = Object.entries(entry.columns.rename);
    for (const [at, [column, to]] of targets.entries()) {
      if (entry.columns.exclude.includes(column)) {
        issues.push({ path: path('columns', 'rename', column), allowed: 'columns.exclude leaves this column out', dependsOn });
      }
      const other = targets.slice(0, at).find(([, earlier]) => earlier === to);
      if (other) {
        issues.push({ path: path('columns', 'rename', column), allowed: `${other[0]} takes this name already`, dependsOn });
      }
    }
  }
  return issues;
}
