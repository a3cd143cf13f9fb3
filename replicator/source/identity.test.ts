import { expect, test } from 'vitest';
import { checkSource, type SourceIdentity, type SourceNeeds } from './identity.ts';

const SOUND: SourceIdentity = {
  systemIdentifier: '7711191302168027635',
  timeline: 1,
  database: 'app',
  databaseOid: 16384,
  version: 180004,
  versionText: '18.4',
  inRecovery: false,
  walLevel: 'logical',
  maxSlotWalKeepSize: null,
  walSenderTimeout: 60_000,
  slots: { max: 10, free: 1 },
  walSenders: { max: 10, free: 1 },
  role: { name: 'pg"follow', superuser: false, replication: true },
};

const CASES: [name: string, source: Partial<SourceIdentity>, needs: SourceNeeds, remedies: RegExp[]][] = [
  ['sound', {}, {}, []],
  ['too old', { version: 130010, versionText: '13.10' }, {}, [/Upgrade/]],
  ['without logical WAL', { walLevel: 'replica' }, {}, [/ALTER SYSTEM SET wal_level = logical; then restart/]],
  [
    'with a role that may not',
    { role: { name: 'pg"follow', superuser: false, replication: false } },
    {},
    [/ALTER ROLE "pg""follow" REPLICATION;/],
  ],
  ['with a superuser', { role: { name: 'postgres', superuser: true, replication: false } }, {}, []],
  [
    'without free slots',
    { slots: { max: 10, free: 0 }, walSenders: { max: 10, free: 0 } },
    {},
    [/max_replication_slots = 20/, /max_wal_senders = 20/],
  ],
  [
    'without free slots, but with ours',
    { slots: { max: 10, free: 0 }, walSenders: { max: 10, free: 0 } },
    { slotExists: true },
    [],
  ],
  ['a standby of 15', { inRecovery: true, version: 150000 }, { managedPublication: false }, [/primary/]],
  ['a standby of 16', { inRecovery: true, version: 160000 }, { managedPublication: false }, []],
  ['that cannot tell origins', { version: 150013 }, { originNone: true }, [/PostgreSQL 16.*origin: any/]],
  ['that can tell origins', { version: 160000 }, { originNone: true }, []],
  ['a standby, and the publication is ours', { inRecovery: true }, {}, [/publication.managed: false/]],
];

test.each(CASES)('a source %s', (_, source, needs, remedies) => {
  const problems = checkSource({ ...SOUND, ...source }, needs);
  expect(problems.map(({ code }) => code)).toEqual(remedies.map(() => 'SOURCE_UNSUITABLE'));
  for (const [at, remedy] of remedies.entries()) expect(problems[at]?.remedy).toMatch(remedy);
});
