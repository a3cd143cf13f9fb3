import { GLOBAL_OPTIONS, type Option } from './args.ts';
import { COMMANDS, type Command } from './command.ts';
import { EXIT, UsageError } from './failure.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

export const completionCommand: Command = {
  usage: 'completion bash|zsh|fish',
  options: {},
  notes: 'Prints a script that completes commands and options in this shell.',
  examples: [
    ['source <(pgfollow completion bash)', 'in ~/.bashrc'],
    ['pgfollow completion zsh > "${fpath[1]}/_pgfollow"', 'for zsh'],
    ['pgfollow completion fish > ~/.config/fish/completions/pgfollow.fish', 'for fish'],
  ],
  async run(args, io) {
    const [shell, ...more] = args.positionals;
    const known = SHELLS.find((each) => each === shell);
    if (known === undefined || more.length > 0)
      throw new UsageError(`completion: name one shell: ${SHELLS.join(', ')}`, 'completion');
    io.stdout.write(completionScript(known, await readTree()));
    return EXIT.done;
  },
};

/** A command as a shell completes it. */
export interface Completable {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly (Pick<Option, 'type' | 'short' | 'takes' | 'help'> & { readonly name: string })[];
}

async function readTree(): Promise<Completable[]> {
  const shown = Object.entries(COMMANDS).filter(([, { hidden }]) => !hidden);
  return Promise.all(
    shown.map(async ([name, entry]) => {
      const { options } = await entry.load();
      const all = Object.entries({ ...options, ...GLOBAL_OPTIONS });
      return { name, summary: entry.summary, options: all.map(([option, rest]) => ({ ...rest, name: option })) };
    }),
  );
}

/** Pure: the script for a shell. */
export function completionScript(shell: Shell, commands: readonly Completable[]): string {
  return { bash, zsh, fish }[shell](commands);
}

function bash(commands: readonly Completable[]): string {
  const flags = ({ options }: Completable): string => options.map(({ name }) => `--${name}`).join(' ');
  return [
    '# bash completion of pgfollow: source <(pgfollow completion bash)',
    '_pgfollow() {',
    '  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}',
    '  COMPREPLY=()',
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')} help" -- "$cur"))`,
    '    return',
    '  fi',
    '  case "$prev" in --config|-c) COMPREPLY=($(compgen -f -- "$cur")); return ;; --keep) COMPREPLY=($(compgen -d -- "$cur")); return ;; esac',
    '  case "${COMP_WORDS[1]}" in',
    `    help) COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')}" -- "$cur")) ;;`,
    `    completion) COMPREPLY=($(compgen -W "${SHELLS.join(' ')} --help" -- "$cur")) ;;`,
    ...commands
      .filter(({ name }) => name !== 'completion')
      .map((command) => `    ${command.name}) COMPREPLY=($(compgen -W "${flags(command)}" -- "$cur")) ;;`),
    '  esac',
    '}',
    'complete -F _pgfollow pgfollow',
    '',
  ].join('\n');
}

function zsh(commands: readonly Completable[]): string {
  const quote = (text: string): string => text.replaceAll(/['[\]:\\]/g, (sign) => (sign === "'" ? "'\\''" : `\\${sign}`));
  const argument = ({ name, short, type, takes, help }: Completable['options'][number]): string => {
    const value =
      type === 'string'
        ? `:${quote(takes ?? 'VALUE')}:${name === 'config' ? '_files' : name === 'keep' ? '_files -/' : ' '}`
        : '';
    const long = `--${name}${type === 'string' ? '=' : ''}`;
    const both = short === undefined ? `'${long}` : `{-${short},${long}}'`;
    return `${both}[${quote(help)}]${value}'`;
  };
  return [
    '#compdef pgfollow',
    '_pgfollow() {',
    '  local -a commands',
    '  commands=(',
    ...commands.map(({ name, summary }) => `    '${name}:${quote(summary)}'`),
    '  )',
    '  if (( CURRENT == 2 )); then _describe command commands; return; fi',
    '  local command=$words[2]',
    '  (( CURRENT-- )); shift words',
    '  case $command in',
    '    help) _describe command commands ;;',
    `    completion) _values shell ${SHELLS.join(' ')} ;;`,
    ...commands
      .filter(({ name }) => name !== 'completion')
      .map(({ name, options }) => `    ${name}) _arguments ${options.map(argument).join(' ')} ;;`),
    '  esac',
    '}',
    '# Out of fpath this file is the function itself the first time; sourced it only has to be made known.',
    'if [[ $funcstack[1] == _pgfollow ]]; then _pgfollow "$@"; else compdef _pgfollow pgfollow; fi',
    '',
  ].join('\n');
}

function fish(commands: readonly Completable[]): string {
  const quote = (text: string): string => `'${text.replaceAll(/['\\]/g, (sign) => `\\${sign}`)}'`;
  const option = (command: string, { name, short, type, help }: Completable['options'][number]): string =>
    [
      `complete -c pgfollow -n '__fish_seen_subcommand_from ${command}'`,
      `-l ${name}`,
      short === undefined ? '' : `-s ${short}`,
      type === 'string' ? (name === 'config' || name === 'keep' ? '-r -F' : '-x') : '',
      `-d ${quote(help)}`,
    ]
      .filter((part) => part !== '')
      .join(' ');
  return [
    'complete -c pgfollow -f',
    ...commands.map(({ name, summary }) => `complete -c pgfollow -n __fish_use_subcommand -a ${name} -d ${quote(summary)}`),
    `complete -c pgfollow -n '__fish_seen_subcommand_from completion' -a '${SHELLS.join(' ')}'`,
    ...commands.flatMap(({ name, options }) => options.map((each) => option(name, each))),
    '',
  ].join('\n');
}
