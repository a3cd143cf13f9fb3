import { CONFIG_OPTIONS, refusePositionals } from './args.ts';
import type { Command } from './command.ts';
import { EXIT } from './failure.ts';
import { loadConfigOf } from './load-config.ts';

export const configCommand: Command = {
  usage: 'config [--json | --schema] [OPTIONS]',
  options: {
    json: { type: 'boolean', help: 'as {"config": …, "origins": …}' },
    schema: { type: 'boolean', help: 'the JSON Schema of pgfollow.yaml instead, for editors' },
    ...CONFIG_OPTIONS,
  },
  notes: 'Prints what `pgfollow run` would use, as a pgfollow.yaml. Secrets are not shown.',
  examples: [
    ['pgfollow config', ''],
    ['pgfollow config --set apply.onConflict=source_wins > pgfollow.yaml', 'a file to begin with (secrets go elsewhere)'],
    ['pgfollow config --schema > pgfollow.schema.json', ''],
  ],
  async run(args, io) {
    refusePositionals('config', args);
    if (args.values['schema']) {
      const { configJsonSchema } = await import('../config/reference.ts');
      io.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
      return EXIT.done;
    }
    const loaded = await loadConfigOf(args, io);
    const { renderJson, renderYaml } = await import('./config-view.ts');
    io.stdout.write(args.values['json'] ? renderJson(loaded) : renderYaml(loaded));
    return EXIT.done;
  },
};
