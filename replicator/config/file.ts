import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import type { ConfigIssue } from './issues.ts';
import { keysAt, type Path } from './setting-list.ts';

/** A configuration file, read and parsed; what could not be read is in `issues`. */
export interface ConfigFile {
  /** What it holds, without empty entries. */
  readonly tree: Record<string, unknown>;
  /** Folder that relative names inside the file start from. */
  readonly folder: string;
  readonly issues: readonly ConfigIssue[];
  /** `file pgfollow.yaml:12`, or null when the file says nothing of this place. */
  readonly originOf: (path: Path) => string | null;
}

/** Reads a YAML file. `origin` says who named it, for the message when it cannot be read. */
export function readConfigFile(name: string, cwd: string, origin: string): ConfigFile {
  const path = isAbsolute(name) ? name : resolve(cwd, name);
  const nothing = { tree: {}, folder: dirname(path), originOf: () => null };
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const allowed = `allowed: a YAML file that can be read (${errorCode(error)})`;
    return { ...nothing, issues: [{ path: 'config', value: name, allowed, origin }] };
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): string => `file ${name}:${lines.linePos(offset).line}`;
  if (document.errors.length > 0) {
    // The library's message may quote the line, and the line may hold a password: only its code is repeated.
    const issues = document.errors.map(({ code, pos }) => ({
      path: 'config',
      value: name,
      allowed: `not valid YAML here: ${code.toLowerCase().replaceAll('_', ' ')}`,
      origin: at(pos[0]),
    }));
    return { ...nothing, issues };
  }
  const tree: unknown = withoutNulls(document.toJS() ?? {}, []);
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree)) {
    return { ...nothing, issues: [{ path: 'config', value: name, allowed: 'allowed: a mapping of settings', origin: at(0) }] };
  }
  return {
    tree: tree as Record<string, unknown>,
    folder: dirname(path),
    issues: [],
    originOf(place) {
      const node = document.getIn(place, true) as { range?: [number, number, number] | null } | undefined;
      return node?.range ? at(node.range[0]) : null;
    },
  };
}

/** The content of a secret's file without one trailing newline, or why it cannot be had. */
export function readSecretFile(name: string, folder: string): { text: string } | { fault: string } {
  try {
    return { text: readFileSync(resolve(folder, name), 'utf8').replace(/\r?\n$/, '') };
  } catch (error) {
    return { fault: `allowed: a file that can be read (${errorCode(error)})` };
  }
}

/** `key:` with nothing behind it means "not set", not "set to null". A key that nothing knows stays, to be reported. */
function withoutNulls(value: unknown, path: Path): unknown {
  if (Array.isArray(value)) return value.map((each, at) => withoutNulls(each, [...path, at]));
  if (typeof value !== 'object' || value === null) return value;
  const known = keysAt(path) ?? [];
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, each]) => each !== null || !known.includes(key))
      .map(([key, each]) => [key, withoutNulls(each, [...path, key])] as const),
  );
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
