import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

// The first line of output has to come at once. These take longer to load than all else, so they come by import() where
// they are needed, never with a command itself.
const HEAVY = ['zod', 'yaml', 'fastify', 'pino', 'prom-client', 'pg', 'pg-logical-replication'];

/** Packages that a file loads before it does anything, with what it imports. */
function packagesOf(file: URL, seen = new Set<string>()): Set<string> {
  const packages = new Set<string>();
  if (seen.has(file.href)) return packages;
  seen.add(file.href);
  const imports = readFileSync(file, 'utf8').matchAll(/^(?:import|export) (?!type )(?:[^;]*? from )?'([^']+)';/gms);
  for (const [statement, from = ''] of imports) {
    const values = /\{([^}]*)\}/
      .exec(statement)?.[1]
      ?.split(',')
      .filter((name) => name.trim() !== '');
    if (values?.every((name) => name.trim().startsWith('type '))) continue;
    if (!from.startsWith('.')) packages.add(from);
    else for (const each of packagesOf(new URL(from, file), seen)) packages.add(each);
  }
  return packages;
}

const COMMANDS = [
  'main',
  'run',
  'doctor',
  'status',
  'tables',
  'events',
  'pause-resume',
  'table-commands',
  'teardown',
  'config',
  'completion',
];

it.each(COMMANDS)('%s loads nothing that takes long', (name) => {
  const packages = packagesOf(new URL(`./${name}.ts`, import.meta.url));
  expect(HEAVY.filter((heavy) => packages.has(heavy))).toEqual([]);
});

it('would notice', () => {
  expect(packagesOf(new URL('./serve.ts', import.meta.url))).toContain('zod');
});
