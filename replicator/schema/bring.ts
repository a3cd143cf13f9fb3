import { quoteIdent } from '../postgres/quote.ts';

/** In pg_restore's list, by the names that it has for them: what other things may be put together from. */
const IN_DUMP = 'SHELL TYPE|TYPE|FUNCTION|AGGREGATE|OPERATOR|OPERATOR FAMILY|OPERATOR CLASS|TEXT SEARCH [A-Z]+';

/**
 * The commands that bring a thing of the source which pgfollow does not make, with what it is made of. What is there already is
 * refused by the target, and stays.
 */
export function bringSql({ type, schema }: { readonly type: string; readonly schema: string | null }): string {
  const where = schema === null ? '' : ` ${schema.replaceAll(/[^\w]/g, '.')} `;
  const only = schema === null ? '' : ` --schema=${shellQuote(quoteIdent(schema))}`;
  return (
    `pg_dump --schema-only --format=custom --file=schema.dump${only} "$PGFOLLOW_SOURCE_URL"\n` +
    `pg_restore --list schema.dump | grep -E ' (${schema === null ? type.toUpperCase() : IN_DUMP})${where || ' '}' > missing.list\n` +
    `pg_restore --use-list=missing.list --dbname="$PGFOLLOW_TARGET_URL" schema.dump`
  );
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
