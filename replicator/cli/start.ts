import { configFileName } from '../config/load.ts';
import { readArguments, type Options } from './args.ts';
import { COMMANDS, type Command } from './command.ts';
import type { Io } from './io.ts';

/** `run` where there is something to follow, `demo` otherwise. */
export const startCommand: Command = {
  usage: 'start [OPTIONS of run or demo]',
  // Both sets are taken; the chosen command reads the line again and refuses what is not its own.
  options: await optionsOf('run', 'demo'),
  notes: 'Both take their own options.',
  examples: [['npm start', '']],
  async run(args, io) {
    const name = chooseStart(args.values, io);
    const command = await load(name);
    return command.run(readArguments(name, args.given, command.options), io);
  },
};

/** Which command `start` stands for. */
export function chooseStart(flags: Readonly<Record<string, unknown>>, io: Pick<Io, 'env' | 'cwd'>): 'run' | 'demo' {
  const named = configFileName({ flags, env: io.env, cwd: io.cwd }) !== null;
  const source = [flags['source-url'], io.env['PGFOLLOW_SOURCE_URL'], io.env['PGFOLLOW_SOURCE_URL_FILE']].some(Boolean);
  return named || source ? 'run' : 'demo';
}

async function optionsOf(...names: string[]): Promise<Options> {
  const commands = await Promise.all(names.map((name) => load(name)));
  return Object.assign({}, ...commands.map(({ options }) => options)) as Options;
}

async function load(name: string): Promise<Command> {
  const entry = COMMANDS[name];
  if (entry === undefined) throw new RangeError(`no command ${name}`);
  return entry.load();
}
