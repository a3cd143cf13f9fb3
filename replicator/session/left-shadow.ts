import { displayName, type RelationName } from '../catalog/relation.ts';
import { quoteRelation } from '../postgres/quote.ts';
import type { EventInput } from '../observe/events.ts';

/** What is told of a shadow that the target refuses to drop, once its rows are where they belong. */
export function leftShadow(table: string, shadow: RelationName, reason: string): EventInput {
  return {
    level: 'warn',
    table,
    code: 'TABLE_FINDING',
    message: `${displayName(shadow)} on the target, by which ${table} was copied again, could not be dropped: ${reason}`,
    remedy: `It is of no more use. It is dropped at the next start, once the target takes that; or run there: DROP TABLE ${quoteRelation(shadow)};`,
  };
}
