import type { Client } from 'pg';

/** How far the server's clock is ahead of ours, in ms; exact to half of the time that the question takes. */
export async function clockAheadMs(client: Client): Promise<number> {
  const askedAt = Date.now();
  const { rows } = await client.query<{ ms: string }>(
    'SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::int8::text AS ms',
  );
  return Number(rows[0]?.ms) - (askedAt + Date.now()) / 2;
}
