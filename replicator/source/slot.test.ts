import { expect, test } from 'vitest';
import { parseLsn } from '../postgres/lsn.ts';
import { slotWaitingProblem } from './create-slot.ts';
import type { SlotState } from './slot.ts';
import { slotVerdict } from './slot-verdict.ts';

const CHECKPOINT = parseLsn('0/2000000');
const SOUND: SlotState = {
  name: 'shop',
  plugin: 'pgoutput',
  database: 'app',
  active: false,
  activePid: null,
  restartLsn: parseLsn('0/1F00000'),
  confirmedFlushLsn: CHECKPOINT,
  walStatus: 'reserved',
  safeWalSize: null,
  invalidationReason: null,
  retainedBytes: 100,
  limitBytes: null,
  walEnd: parseLsn('0/3000000'),
  oldestTransactionMs: null,
  spilledBytes: 0,
  clockAheadMs: 0,
};

const CASES: [name: string, slot: SlotState | null, checkpoint: typeof CHECKPOINT | null, verdict: string, remedy?: RegExp][] = [
  ['at the checkpoint', SOUND, CHECKPOINT, 'ok'],
  ['behind the checkpoint', { ...SOUND, confirmedFlushLsn: parseLsn('0/1FFFFFF') }, CHECKPOINT, 'ok'],
  ['short of WAL, but not lost', { ...SOUND, walStatus: 'unreserved' }, CHECKPOINT, 'ok'],
  ['not there, nothing to go on from', null, null, 'ok'],
  ['not there', null, CHECKPOINT, 'SLOT_MISSING', /pgfollow teardown.*existingRows: truncate/],
  ['past the checkpoint', { ...SOUND, confirmedFlushLsn: parseLsn('0/2000001') }, CHECKPOINT, 'SLOT_AHEAD', /pgfollow teardown/],
  ['lost', { ...SOUND, walStatus: 'lost', restartLsn: null }, CHECKPOINT, 'SLOT_LOST', /max_slot_wal_keep_size/],
  ['lost before it is ahead', { ...SOUND, walStatus: 'lost', confirmedFlushLsn: parseLsn('0/2000001') }, CHECKPOINT, 'SLOT_LOST'],
  ['invalidated', { ...SOUND, walStatus: null, invalidationReason: 'idle_timeout' }, CHECKPOINT, 'SLOT_LOST'],
  ['of another plugin', { ...SOUND, plugin: 'wal2json' }, CHECKPOINT, 'SLOT_FOREIGN', /pg_drop_replication_slot\('shop'\)/],
  ['physical', { ...SOUND, plugin: null, database: null }, CHECKPOINT, 'SLOT_FOREIGN'],
  ['of another database', { ...SOUND, database: 'other' }, CHECKPOINT, 'SLOT_FOREIGN'],
  ['of nobody we know', SOUND, null, 'SLOT_FOREIGN', /slot\.name/],
  ['in use', { ...SOUND, active: true, activePid: 4711 }, CHECKPOINT, 'SLOT_IN_USE', /pg_terminate_backend/],
];

test.each(CASES)('a slot %s', (_, slot, checkpoint, expected, remedy) => {
  const verdict = slotVerdict(slot, { checkpoint, database: 'app' }, 'shop');
  expect(verdict === 'ok' ? verdict : verdict.code).toBe(expected);
  if (verdict === 'ok') return;
  expect(verdict.message).toContain('shop');
  expect(verdict.retry).toBe(expected === 'SLOT_IN_USE' ? 'transient' : 'permanent');
  if (remedy) expect(verdict.remedy).toMatch(remedy);
});

test('who holds up the creation of a slot', () => {
  const client = { pid: 42, preparedAs: null, database: 'app', ageSeconds: 61.4, query: 'UPDATE t SET v = 1' };
  const prepared = { pid: null, preparedAs: "it's", database: 'app', ageSeconds: 7, query: null };
  expect(slotWaitingProblem('shop', [client, prepared])).toMatchObject({
    code: 'SLOT_WAITING',
    retry: 'transient',
    message: expect.stringContaining(
      '2 older transaction(s); the oldest: pid 42, open for 61 s, last statement: UPDATE t SET v = 1.',
    ),
    remedy: expect.stringContaining('pg_terminate_backend(42)'),
  });
  expect(slotWaitingProblem('shop', [prepared]).remedy).toContain("COMMIT PREPARED 'it''s'");
  expect(slotWaitingProblem('shop', []).message).toContain('none is visible');
});
