import { Client } from 'pg';

/** The first column of the first row, as PostgreSQL prints it, on a connection for this question alone; null when there is no row. */
export async function ask(url: string, text: string): Promise<string | null> {
  const client = new Client({ connectionString: url, types: { getTypeParser: () => String } });
  client.on('error', () => {});
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, string | null>>(text);
    return Object.values(rows[0] ?? {})[0] ?? null;
  } finally {
    await client.end();
  }
}
