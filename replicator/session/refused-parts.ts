import { displayName } from '../catalog/relation.ts';
import type { EventInput } from '../observe/events.ts';
import type { StatusModel } from '../observe/model.ts';
import type { Refusal } from '../schema/build-steps.ts';
import type { FollowedTable } from './followed-table.ts';

// What is told of keys, indexes, constraints and foreign keys that the target has refused to a table of our making.

export type RefusalCode = 'PART_NOT_CREATED' | 'FOREIGN_KEY_NOT_CREATED';

/** What the table goes without: one event for all, since those of one table and code are counted together. */
export function refusedParts(table: FollowedTable, code: RefusalCode, refusals: readonly Refusal[]): EventInput {
  const { remedy, ...said } = refusedText(table, code, refusals);
  return { level: 'warn', table: table.name, ...said, ...(remedy === '' ? {} : { remedy }) };
}

/** Foreign keys that the target refuses are a problem of their table until it has them. */
export class RefusedKeys {
  readonly #model: StatusModel;
  readonly #tables = new Set<string>();

  constructor(model: StatusModel) {
    this.#model = model;
  }

  /** Which ones a table goes without; none where that is over. */
  show(table: FollowedTable, refusals: readonly Refusal[]): void {
    if (refusals.length === 0) return this.#over(table.name);
    this.#tables.add(table.name);
    this.#model.problem({ ...refusedText(table, 'FOREIGN_KEY_NOT_CREATED', refusals), table: table.name });
  }

  /** Other tables are no longer followed. */
  keepOnly(tables: ReadonlySet<string>): void {
    for (const table of this.#tables) if (!tables.has(table)) this.#over(table);
  }

  #over(table: string): void {
    if (this.#tables.delete(table)) this.#model.clearProblem('FOREIGN_KEY_NOT_CREATED', table);
  }
}

/** What the target had refused is there. */
export function mendedParts(table: FollowedTable, parts: readonly string[]): EventInput {
  const message = `${displayName(table.mapping.target)} has what it went without: ${parts.join('; ')}.`;
  return { level: 'info', table: table.name, code: 'PART_CREATED', message };
}

function refusedText<Code extends RefusalCode>(
  { name, mapping }: FollowedTable,
  code: Code,
  refusals: readonly Refusal[],
): { readonly code: Code; readonly message: string; readonly remedy: string } {
  const lines = refusals.map(({ part, reason }) => `${part}: ${reason}`);
  const tried = refusals.flatMap(({ sql }) => sql);
  const message = `${displayName(mapping.target)} goes without ${lines.join('; ')}.`;
  const again = code === 'PART_NOT_CREATED' ? 'the next start tries it too' : 'it is tried again by itself, too';
  const remedy = `Mend what the message names, then pgfollow retry ${name} (${again}), or run on the target:\n${tried.join(';\n')};`;
  return { code, message, remedy: tried.length > 0 ? remedy : '' };
}
