import { addressOf } from './api.ts';
import { CONFIG_OPTIONS, refusePositionals } from './args.ts';
import type { Command } from './command.ts';
import { loadConfigOf } from './load-config.ts';

export const runCommand: Command = {
  usage: 'run [OPTIONS]',
  options: CONFIG_OPTIONS,
  notes:
    'Flags win over the environment, that over the file, that over defaults. Everybody on this machine can read a command\n' +
    'line, so passwords belong into PGFOLLOW_SOURCE_URL, PGFOLLOW_SOURCE_URL_FILE, PGPASSFILE or the file.',
  examples: [
    ['pgfollow run', 'with pgfollow.yaml here, or PGFOLLOW_SOURCE_URL and PGFOLLOW_TARGET_URL'],
    ['pgfollow run --config shop.yaml --log-level debug', ''],
    ['pgfollow run --set snapshot.existingRows=truncate', 'copies again into tables that hold rows'],
    ['pgfollow doctor && pgfollow run', 'starts only where nothing stands in the way'],
  ],
  async run(args, io) {
    refusePositionals('run', args);
    const { config, origins } = await loadConfigOf(args, io);
    const [{ assemble }, { serve }] = await Promise.all([import('./assemble.ts'), import('./serve.ts')]);
    const { exitCode } = await serve({
      config,
      origins,
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
