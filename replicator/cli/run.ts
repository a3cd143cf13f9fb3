import { loadConfig } from '../config/load.ts';
import { addressOf } from './api.ts';
import { CONFIG_OPTIONS, refusePositionals } from './args.ts';
import type { Command } from './command.ts';
import { serve } from './serve.ts';

export const runCommand: Command = {
  usage: 'run [OPTIONS]',
  options: CONFIG_OPTIONS,
  notes:
    'Flags win over the environment, that over the file, that over defaults. Everybody on this machine can read a command\n' +
    'line, so passwords belong into PGFOLLOW_SOURCE_URL, PGFOLLOW_SOURCE_URL_FILE, PGPASSFILE or the file.',
  async run(args, io) {
    refusePositionals('run', args);
    const { config } = loadConfig({ flags: args.values, env: io.env, cwd: io.cwd });
    const { assemble } = await import('./assemble.ts');
    const { exitCode } = await serve({
      config,
      io,
      assemble,
      noColor: Boolean(args.values['no-color']),
      onListening: (http, say) => {
        if (io.stdout.isTTY) say(`Status page, API and metrics: ${addressOf(http)}`);
      },
    });
    return exitCode;
  },
};
