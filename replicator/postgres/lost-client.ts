import type { Client } from 'pg';
import { SQLSTATE, sqlState } from './sqlstate.ts';

/**
 * Lets a backend that writes for us notice that we are gone: a process that was killed within two seconds, even while it
 * waits for somebody's lock, and a machine that vanished without a word within a minute. Otherwise the backend would
 * stay for as long as the lock is held or the network is patient, and whoever starts next would have to wait for it.
 * The former needs PostgreSQL's platform to have a way of asking; where it has none, nothing is lost but time.
 * https://www.postgresql.org/docs/current/runtime-config-connection.html#RUNTIME-CONFIG-TCP-SETTINGS
 */
export async function noticeLostClient(client: Client): Promise<void> {
  await client.query('SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3');
  await client.query(`SET client_connection_check_interval = '2s'`).catch((error: unknown) => {
    if (sqlState(error) !== SQLSTATE.invalid_parameter_value) throw error;
  });
}
