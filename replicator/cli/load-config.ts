import type { ClientConfig, LoadedConfig } from '../config/load.ts';
import type { Arguments } from './args.ts';
import type { Io } from './io.ts';

// The schema takes longer to load than all else of a command line: what needs no configuration does not wait for it.

/** The effective configuration of a command line. Throws ConfigProblem. */
export async function loadConfigOf(args: Arguments, io: Io): Promise<LoadedConfig> {
  const { loadConfig } = await import('../config/load.ts');
  return loadConfig({ flags: args.values, env: io.env, cwd: io.cwd });
}

/** What a command needs that talks to a running pgfollow. Throws ConfigProblem. */
export async function loadClientConfigOf(args: Arguments, io: Io): Promise<ClientConfig> {
  const { loadClientConfig } = await import('../config/load.ts');
  return loadClientConfig({ flags: args.values, env: io.env, cwd: io.cwd });
}
