import { expect, it } from 'vitest';
import type { Status } from '../observe/status.ts';
import { parseLsn } from '../postgres/lsn.ts';
import { sampleProblem, sampleStatus } from '../testing/cli-io.ts';
import { waitVerdict } from './wait-verdict.ts';

const at = (applied: string | null): Partial<Status> => ({ position: { received: null, applied, acknowledged: null } });

it.each<[what: string, status: Status, wanted: string, missing: string | null]>([
  ['exactly there', sampleStatus(at('0/1A2B3C8')), '0/1A2B3C8', null],
  ['past it', sampleStatus(at('1/0')), '0/FFFFFFFF', null],
  ['one byte short', sampleStatus(at('0/1A2B3C7')), '0/1A2B3C8', 'applied 0/1A2B3C7, wanted 0/1A2B3C8'],
  ['compared as numbers, not as text', sampleStatus(at('0/9')), '0/10', 'applied 0/9, wanted 0/10'],
  ['nothing applied yet', sampleStatus(at(null)), '0/1', 'applied nothing yet, wanted 0/1'],
  ['a table still pending', sampleStatus(at('1/0'), { pending: 1 }), '0/1', '1 table is pending'],
  ['tables being copied', sampleStatus(at('1/0'), { copying: 2 }), '0/1', '2 tables are copying'],
  ['indexes being built', sampleStatus(at('1/0'), { indexing: 1 }), '0/1', '1 table is indexing'],
  ['a spool being drained', sampleStatus(at('1/0'), { catching_up: 1 }), '0/1', '1 table is catching_up'],
  ['a table in error', sampleStatus(at('1/0'), { error: 1 }), '0/1', '1 table is in error'],
  [
    'tables not known yet',
    sampleStatus({ ...at('1/0'), state: 'starting' }, { total: 0, streaming: 0 }),
    '0/1',
    'the pipeline is starting',
  ],
  ['paused, but there', sampleStatus({ ...at('1/0'), state: 'paused' }), '0/1', null],
  [
    'paused before it',
    sampleStatus({ ...at('0/1'), state: 'paused' }),
    '1/0',
    'applied 0/1, wanted 1/0; the pipeline is paused, `pgfollow resume` goes on',
  ],
])('%s', (_, status, wanted, missing) => {
  expect(waitVerdict(status, parseLsn(wanted))).toEqual(missing === null ? { done: true } : { done: false, missing });
});

it('says why nothing moves', () => {
  const verdict = waitVerdict(sampleStatus({ ...at('0/1'), state: 'failed', problems: [sampleProblem()] }), parseLsn('1/0'));
  expect(verdict).toEqual({
    done: false,
    missing: 'applied 0/1, wanted 1/0; the pipeline is failed: The slot is lost. Copy again',
  });
});
