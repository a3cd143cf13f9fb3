import type { Client } from 'pg';
import { useReplicaRole } from '../apply/target-session.ts';
import type { Config } from '../config/schema.ts';
import { joinPipeline } from '../metadata/pipeline-row.ts';
import { connect, destroySocket, disconnect } from '../postgres/connect.ts';
import { noticeLostClient } from '../postgres/lost-client.ts';
import { openUnless } from './together.ts';

/** For the definitions of what is made after the rows: functions that read them wait for whoever changes a table. */
export async function onBuildSource<T>(config: Config, signal: AbortSignal, work: (source: Client) => Promise<T>): Promise<T> {
  const settings = { lock_timeout: '5s' };
  const source = await openUnless(
    signal,
    connect({ role: 'source', url: config.source.url, purpose: `${config.name} schema`, settings }),
    (late) => void disconnect(late),
  );
  const cut = (): void => destroySocket(source);
  signal.addEventListener('abort', cut, { once: true });
  try {
    return await work(source);
  } finally {
    signal.removeEventListener('abort', cut);
    await disconnect(source);
  }
}

/** For what is made there. */
export async function openBuildTarget(config: Config): Promise<Client> {
  // A step and its note are lost together, if at all: then it is made again.
  const settings = { synchronous_commit: 'off' };
  const target = await connect({ role: 'target', url: config.target.url, purpose: `${config.name} index`, settings });
  try {
    await useReplicaRole(target);
    await noticeLostClient(target);
    await joinPipeline(target, config.name);
    return target;
  } catch (error) {
    await disconnect(target);
    throw error;
  }
}
