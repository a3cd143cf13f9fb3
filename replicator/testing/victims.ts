import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { TestDatabases } from './databases.ts';
import { FAULT, spawnReplicator, type ReplicatorProcess } from './replicator-process.ts';

/** Who is killed. */
export type Victim = 'replicator' | 'target' | 'source';

/** `pgfollow run` and the servers that it runs on. Dispose ends the program. */
export interface Victims extends AsyncDisposable {
  /** The program as it runs now: after each of its deaths another process. */
  readonly replicator: ReplicatorProcess;
  /** Without a chance to finish anything; resolves once it has been started again. */
  kill(victim: Victim): Promise<void>;
}

/** Starts the program on `ownServers()`; `settings` as in the configuration file. */
export async function startVictims(db: TestDatabases, settings: Record<string, unknown> = {}): Promise<Victims> {
  let replicator = await spawnReplicator(db, settings);
  return {
    get replicator() {
      return replicator;
    },
    async kill(victim) {
      if (victim === 'replicator') {
        await replicator.kill();
        expect(replicator.output()).not.toMatch(FAULT);
        await replicator[Symbol.asyncDispose]();
        replicator = await spawnReplicator(db, settings);
        return;
      }
      const { server } = db[victim];
      if (!server) throw new Error('the servers that all tests share are not killed');
      await server.kill();
      await sleep(Math.random() * 300);
      await server.start();
    },
    [Symbol.asyncDispose]: () => replicator[Symbol.asyncDispose](),
  };
}
