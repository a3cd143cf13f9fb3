#!/usr/bin/env node
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { closest } from '../config/suggest.ts';
import { readArguments } from './args.ts';
import { COMMANDS } from './command.ts';
import { EXIT, reportFailure, UsageError } from './failure.ts';
import { commandHelp, generalHelp } from './help.ts';
import { processIo, type Io } from './io.ts';
import { VERSION } from './version.ts';

/** Runs one command; argv is what follows `pgfollow`. Resolves with the exit code, never rejects. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  try {
    return await dispatch(argv, io);
  } catch (error) {
    return reportFailure(error, io);
  }
}

async function dispatch(argv: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined) {
    io.stderr.write(generalHelp());
    return EXIT.usage;
  }
  if (name === '--version' || name === '-V') {
    io.stdout.write(`${VERSION}\n`);
    return EXIT.done;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    const about = rest.find((word) => !word.startsWith('-'));
    if (about !== undefined) return dispatch([about, '--help'], io);
    io.stdout.write(generalHelp());
    return EXIT.done;
  }
  if (name.startsWith('-')) throw new UsageError(`the command comes first: pgfollow COMMAND ${name} …`, null);
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry === undefined) {
    const near = closest(
      name,
      Object.keys(COMMANDS).filter((each) => !COMMANDS[each]?.hidden),
    );
    throw new UsageError(`unknown command ${name}${near === null ? '' : `; did you mean ${near}?`}`, null);
  }
  const command = await entry.load();
  // Help is given even where the rest of the line makes no sense.
  const end = rest.indexOf('--');
  if (rest.slice(0, end < 0 ? rest.length : end).some((word) => word === '--help' || word === '-h')) {
    io.stdout.write(commandHelp(name, command));
    return EXIT.done;
  }
  return command.run(readArguments(name, rest, command.options), io);
}

/** Whether this file is what node was started with; npm's bin is a symbolic link to it. */
function isEntryPoint(): boolean {
  const started = process.argv[1];
  if (started === undefined) return false;
  try {
    return realpathSync(started) === fileURLToPath(import.meta.url);
  } catch {
    return false;
  }
}

if (isEntryPoint()) {
  // A reader that has seen enough (`pgfollow tables | head -1`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failure));
  // Output to files, pipes and terminals is synchronous here, so nothing is lost by not waiting for idle sockets to close.
  process.exit(await main(process.argv.slice(2), processIo()));
}
