import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { testIo } from '../testing/cli-io.ts';
import { completionScript, type Completable } from './completion.ts';
import { main } from './main.ts';

async function scriptFor(shell: string): Promise<string> {
  const io = testIo();
  expect(await main(['completion', shell], io)).toBe(0);
  return io.out();
}

/** What a real bash offers for a line, the last word being typed. */
function offered(script: string, words: readonly string[]): string[] {
  const line = words.map((word) => `'${word}'`).join(' ');
  const ask = `${script}\nCOMP_WORDS=(pgfollow ${line}); COMP_CWORD=${words.length}; _pgfollow; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['--norc', '-c', ask], { encoding: 'utf8' }).split('\n').filter(Boolean);
}

it('bash completes commands and each command’s own options', async () => {
  const script = await scriptFor('bash');
  expect(offered(script, ['t'])).toEqual(['tables', 'teardown']);
  expect(offered(script, ['status', '--w'])).toEqual(['--watch']);
  expect(offered(script, ['wait', '--'])).toEqual(expect.arrayContaining(['--lsn', '--timeout', '--help', '--no-color']));
  expect(offered(script, ['pause', '--lsn'])).toEqual([]);
  expect(offered(script, ['completion', 'z'])).toEqual(['zsh']);
  expect(offered(script, ['help', 'do'])).toEqual(['doctor']);
  expect(offered(script, ['run', '--config', '/etc/pass'])).toContain('/etc/passwd');
});

// bash is everywhere; the others where somebody has installed them.
const here = ['bash', 'zsh', 'fish'].filter((shell) => spawnSync(shell, ['-c', 'exit 0']).status === 0);
it.each(here)('%s takes its script', async (shell) => {
  const folder = mkdtempSync(join(tmpdir(), 'pgfollow-completion-'));
  try {
    writeFileSync(join(folder, 'script'), await scriptFor(shell));
    const { status, stderr } = spawnSync(shell, ['-n', join(folder, 'script')], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const HOSTILE: Completable = {
  name: 'x',
  summary: "it's [a]: list",
  options: [
    { name: 'config', short: 'c', type: 'string', takes: 'FILE', help: "a 'file'" },
    { name: 'yes', type: 'boolean', help: 'sure' },
  ],
};

it('zsh and fish: signs with a meaning there are quoted', () => {
  const zsh = completionScript('zsh', [HOSTILE]);
  expect(zsh).toContain(String.raw`'x:it'\''s \[a\]\: list'`);
  expect(zsh).toContain(String.raw`{-c,--config=}'[a '\''file'\'']:FILE:_files' '--yes[sure]'`);
  const fish = completionScript('fish', [HOSTILE]);
  expect(fish).toContain(String.raw`-a x -d 'it\'s [a]: list'`);
  expect(fish).toContain(String.raw`-l config -s c -r -F -d 'a \'file\''`);
});

it.each(['zsh', 'fish'])('%s names every command', async (shell) => {
  const script = await scriptFor(shell);
  for (const name of ['run', 'doctor', 'status', 'teardown', 'completion']) expect(script).toMatch(new RegExp(`\\b${name}\\b`));
});

it.each([[['completion']], [['completion', 'tcsh']], [['completion', 'bash', 'zsh']]])('%j is a usage error', async (argv) => {
  const io = testIo();
  expect(await main(argv, io)).toBe(2);
  expect(io.err()).toContain('bash, zsh, fish');
});
