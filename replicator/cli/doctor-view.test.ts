import { expect, it } from 'vitest';
import { complaint, fine } from '../finding.ts';
import { exitCodeOf } from './doctor.ts';
import { renderFindings, summarizeFindings } from './doctor-view.ts';

const OK = fine('source', 'WAL_LEVEL', 'wal_level is logical.');
const WARNING = complaint('warning', 'target', 'EXTENSION', {
  message: 'citext\u001b[2J is missing.',
  remedy: 'CREATE\n  EXTENSION citext;',
});
const ERROR = complaint('error', 'source', 'FREE_SLOTS', { message: 'All slots are taken.', remedy: 'Drop one.' });

it('is one line a finding where nobody looks', () => {
  expect(renderFindings([OK, WARNING], { color: false, columns: null })).toEqual([
    'ok       source   WAL_LEVEL  wal_level is logical.',
    'warning  target   EXTENSION  citext\u{fffd}[2J is missing.  ->  CREATE EXTENSION citext;',
  ]);
});

it('is broken into lines on a terminal, remedies as they can be copied', () => {
  expect(renderFindings([OK, WARNING], { color: false, columns: 30 })).toEqual([
    'ok       source WAL_LEVEL',
    '         wal_level is logical.',
    'warning  target EXTENSION',
    '         citext\u{fffd}[2J is',
    '         missing.',
    '           CREATE',
    '           EXTENSION citext;',
  ]);
});

it('has colours only where they are wanted', () => {
  expect(renderFindings([ERROR], { color: true, columns: null })[0]).toContain('\u001b[31merror');
  expect(renderFindings([ERROR], { color: false, columns: null })[0]).not.toContain('\u001b');
});

it.each([
  [[OK], false, 0, '0 errors, 0 warnings, 1 check. `pgfollow run` can start.'],
  [[OK, WARNING], false, 0, '0 errors, 1 warning, 2 checks. `pgfollow run` can start.'],
  [[OK, WARNING], true, 3, '0 errors, 1 warning, 2 checks. `pgfollow run` can start.'],
  [[ERROR, ERROR], false, 3, '2 errors, 0 warnings, 2 checks. Mend the errors, then `pgfollow doctor` again.'],
])('%j, strict: %s ends with %i', (findings, strict, exitCode, summary) => {
  expect(exitCodeOf(findings, strict)).toBe(exitCode);
  expect(summarizeFindings(findings)).toBe(summary);
});
