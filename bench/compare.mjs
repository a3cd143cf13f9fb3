import { connect } from './servers.mjs';

/**
 * Throws unless every table of the source's schema public holds the same rows on the target: as many of them, and the
 * same sum of the 64-bit hashes of the rows as text, whatever their order.
 */
export async function compareDatabases(sourceUrl, targetUrl) {
  const [source, target] = await Promise.all([connect(sourceUrl), connect(targetUrl)]);
  try {
    const differences = [];
    for (const table of await publicTables(source)) {
      const [expected, actual] = await Promise.all([digest(source, table), digest(target, table)]);
      if (expected !== actual) differences.push(`${table}: ${expected} on the source, ${actual} on the target`);
    }
    if (differences.length > 0) throw new Error(`the results differ: ${differences.join('; ')}`);
  } finally {
    await Promise.all([source.end(), target.end()]);
  }
}

/** The tables of schema public, quoted. */
export async function publicTables(client) {
  const { rows } = await client.query(
    `SELECT format('public.%I', relname) AS name FROM pg_class
      WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname`,
  );
  return rows.map(({ name }) => name);
}

async function digest(client, table) {
  const { rows } = await client.query(
    `SELECT count(*) || ' rows, hash ' || coalesce(sum(hashtextextended(t::text, 0)), 0) AS digest FROM ONLY ${table} t`,
  );
  return rows[0].digest;
}
