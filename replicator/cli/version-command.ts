import { JSON_OPTION, refusePositionals } from './args.ts';
import type { Command } from './command.ts';
import { EXIT } from './failure.ts';
import { VERSION } from './version.ts';

export const versionCommand: Command = {
  usage: 'version [--json]',
  options: JSON_OPTION,
  notes: 'For a report: the version of Node.js and the system too. `pgfollow --version` prints the number alone.',
  examples: [['pgfollow version', '']],
  async run(args, io) {
    refusePositionals('version', args);
    const { version: node, platform, arch } = process;
    io.stdout.write(
      args.values['json']
        ? `${JSON.stringify({ version: VERSION, node, platform, arch })}\n`
        : `pgfollow ${VERSION}, Node.js ${node}, ${platform} ${arch}\n`,
    );
    return EXIT.done;
  },
};
