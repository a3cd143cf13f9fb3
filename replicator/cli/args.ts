import { parseArgs } from 'node:util';
import { CONFIG_VARIABLE, flagName, VARIABLES, type Variable } from '../config/environment.ts';
import { closest } from '../config/suggest.ts';
import { UsageError } from './failure.ts';

export interface Option {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: true;
  /** What stands for the value in the help. */
  readonly takes?: string;
  readonly help: string;
}

export type Options = Readonly<Record<string, Option>>;

export interface Arguments {
  readonly values: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
  /** The arguments as they were given. */
  readonly given: readonly string[];
}

/** Every command has these. */
export const GLOBAL_OPTIONS: Options = {
  help: { type: 'boolean', short: 'h', help: 'show this and end' },
  'no-color': { type: 'boolean', help: 'no colours; NO_COLOR in the environment does the same' },
};

/** For commands that have nothing else to say in JSON than what they did. */
export const JSON_OPTION: Options = { json: { type: 'boolean', help: 'as JSON' } };

/** Settings as flags; commands that read the configuration have them. */
export const CONFIG_OPTIONS: Options = {
  config: { type: 'string', short: 'c', takes: 'FILE', help: `configuration file (${CONFIG_VARIABLE}, else pgfollow.yaml here)` },
  ...Object.fromEntries(VARIABLES.map((variable) => [flagName(variable), settingOption(variable)])),
  set: {
    type: 'string',
    multiple: true,
    takes: 'PATH=VALUE',
    help: 'any other setting, such as --set apply.onConflict=source_wins',
  },
};

/** For commands that talk to a running pgfollow. */
export const API_OPTIONS: Options = {
  url: { type: 'string', takes: 'http://HOST:PORT', help: 'where pgfollow runs, instead of http.host and http.port' },
  ...pick(CONFIG_OPTIONS, ['config', 'http-host', 'http-port', 'api-token']),
};

/**
 * Reads a command's arguments. Everything that cannot be understood is reported together, with what may have been meant.
 * Throws UsageError.
 */
export function readArguments(command: string, args: readonly string[], options: Options): Arguments {
  const all = { ...options, ...GLOBAL_OPTIONS };
  const { values, positionals, tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(all).map(([name, { type, short, multiple }]) => [name, parserOption(type, short, multiple)]),
    ),
    strict: false,
    tokens: true,
    allowPositionals: true,
  });
  const faults: string[] = [];
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(all, token.name) ? all[token.name] : undefined;
    if (option === undefined) {
      const near = token.rawName.startsWith('--') ? closest(token.name, Object.keys(all)) : null;
      faults.push(`unknown option ${token.rawName}${near === null ? '' : `; did you mean --${near}?`}`);
    } else if (option.type === 'boolean' && token.value !== undefined) {
      faults.push(`${token.rawName} takes no value`);
    } else if (option.type === 'string' && (token.value === undefined || (!token.inlineValue && token.value.startsWith('--')))) {
      faults.push(`${token.rawName} needs a value: ${token.rawName} ${option.takes ?? 'VALUE'}`);
    }
  }
  if (faults.length > 0) throw new UsageError(`${command}: ${faults.join('\n')}`, command);
  return { values, positionals, given: args };
}

/** The value of an option that takes a text, or undefined. */
export function textOf({ values }: Arguments, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

/** Refuses positional arguments. */
export function refusePositionals(command: string, { positionals }: Arguments): void {
  if (positionals.length > 0) throw new UsageError(`${command}: unexpected ${positionals.join(' ')}`, command);
}

function settingOption({ path, takes, name, boolean }: Variable): Option {
  const help = `${path} (${name})`;
  return boolean ? { type: 'boolean', help } : { type: 'string', takes, help };
}

function parserOption(type: Option['type'], short: string | undefined, multiple: true | undefined) {
  return { type, ...(short === undefined ? {} : { short }), ...(multiple ? { multiple } : {}) };
}

function pick(options: Options, names: readonly string[]): Options {
  return Object.fromEntries(Object.entries(options).filter(([name]) => names.includes(name)));
}
