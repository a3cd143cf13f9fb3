import { displayName } from '../catalog/relation.ts';
import type { EventInput } from '../observe/events.ts';
import type { Refusal } from '../schema/build-steps.ts';
import type { FollowedTable } from './followed-table.ts';

// What is told of keys, indexes, constraints and foreign keys that the target has refused to a table of our making.

export type RefusalCode = 'PART_NOT_CREATED' | 'FOREIGN_KEY_NOT_CREATED';

/** What the table goes without: one event for all, since those of one table and code are counted together. */
export function refusedParts(table: FollowedTable, code: RefusalCode, refusals: readonly Refusal[]): EventInput {
  const lines = refusals.map(({ part, reason }) => `${part}: ${reason}`);
  const tried = refusals.flatMap(({ sql }) => sql);
  return {
    level: 'warn',
    table: table.name,
    code,
    message: `${displayName(table.mapping.target)} goes without ${lines.join('; ')}.`,
    ...(tried.length > 0 ? { remedy: remedy(table, code, tried) } : {}),
  };
}

/** What the target had refused is there. */
export function mendedParts(table: FollowedTable, parts: readonly string[]): EventInput {
  const message = `${displayName(table.mapping.target)} has what it went without: ${parts.join('; ')}.`;
  return { level: 'info', table: table.name, code: 'PART_CREATED', message };
}

function remedy({ name }: FollowedTable, code: RefusalCode, tried: readonly string[]): string {
  const then = code === 'PART_NOT_CREATED' ? `pgfollow retry ${name} (the next start tries it too), or run` : 'run';
  return `Mend what the message names, then ${then} on the target:\n${tried.join(';\n')};`;
}
