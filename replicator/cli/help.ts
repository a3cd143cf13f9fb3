import { GLOBAL_OPTIONS, type Options } from './args.ts';
import { COMMANDS, type Command } from './command.ts';
import { align } from './style.ts';

/** The list of commands. */
export function generalHelp(): string {
  const shown = Object.entries(COMMANDS).filter(([, { hidden }]) => !hidden);
  return [
    'Usage: pgfollow COMMAND [OPTIONS]',
    '',
    'Keeps one PostgreSQL database a faithful, continuous copy of another.',
    '',
    'Commands:',
    ...align(shown.map(([name, { summary }]) => [`  ${name}`, summary])),
    '',
    'Options:',
    '  --help       show this, or what a command takes',
    '  --version    show the version',
    '',
    'Exit codes: 0 done, 1 failure, 2 usage or configuration error, 3 doctor found errors, 4 timeout.',
    '`pgfollow demo` shows everything with nothing to set up.',
    '',
  ].join('\n');
}

/** What one command takes. */
export function commandHelp(name: string, command: Command): string {
  const summary = COMMANDS[name]?.summary ?? '';
  return [
    `Usage: pgfollow ${command.usage}`,
    '',
    `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`,
    '',
    command.notes,
    '',
    'Options:',
    ...align(optionRows({ ...command.options, ...GLOBAL_OPTIONS })),
    '',
    'Examples:',
    ...align(command.examples.map(([line, says]) => [`  ${line}`, says])),
    '',
  ].join('\n');
}

function optionRows(options: Options): string[][] {
  return Object.entries(options).map(([name, { short, takes, help }]) => [
    `  ${short === undefined ? '    ' : `-${short}, `}--${name}${takes === undefined ? '' : ` ${takes}`}`,
    help,
  ]);
}
