import { describe, expect, it, test } from 'vitest';
import type { Finding } from '../finding.ts';
import { configSchema } from '../config/schema.ts';
import { Problem } from '../problem.ts';
import type { SourceIdentity } from '../source/identity.ts';
import { classifyTransactions } from './activity.ts';
import { classifyCreation } from './creation.ts';
import { classifyConnection, replicationRefused, type ConnectionFacts } from './connection.ts';
import { classifyConfig, classifyDisk, classifyPasswordFile } from './here.ts';
import { classifyIndexes } from './pairs.ts';
import { classifySource, type SourceSettings } from './source-settings.ts';
import { classifyMetadata } from './standing.ts';
import { classifySurroundings, type Surroundings } from './surroundings.ts';
import { classifyActors, type Actors } from './target-tables.ts';
import { classifyTarget, type TargetFacts } from './target-settings.ts';

const GB = 1024 ** 3;
const grade = (findings: readonly Finding[]): string[] =>
  findings.filter(({ level }) => level !== 'ok').map(({ level, code }) => `${level} ${code}`);

const SOURCE: SourceIdentity = {
  systemIdentifier: '1',
  timeline: 1,
  database: 'app',
  databaseOid: 5,
  version: 180004,
  versionText: '18.4',
  inRecovery: false,
  walLevel: 'logical',
  maxSlotWalKeepSize: 50 * GB,
  walSenderTimeout: 60_000,
  slots: { max: 10, free: 9 },
  walSenders: { max: 10, free: 9 },
  role: { name: 'app', superuser: false, replication: true },
};
const SETTINGS: SourceSettings = {
  decodingMemory: 64 * 1024 ** 2,
  slotIdleTimeout: null,
  hotStandbyFeedback: true,
  mayEmitMessages: true,
  largeObjects: false,
  hiddenWaits: false,
};

describe('the source', () => {
  it.each<[what: string, source: Partial<SourceIdentity>, settings: Partial<SourceSettings>, expected: string[]]>([
    ['as it should be', {}, {}, []],
    ['too old', { version: 130010, versionText: '13.10' }, {}, ['error SOURCE_VERSION']],
    ['not logical', { walLevel: 'replica' }, {}, ['error WAL_LEVEL']],
    ['without a free slot', { slots: { max: 4, free: 0 } }, {}, ['error FREE_SLOTS']],
    ['without a free sender', { walSenders: { max: 4, free: 0 } }, {}, ['error FREE_WAL_SENDERS']],
    [
      'with a role that may not replicate',
      { role: { name: 'app', superuser: false, replication: false } },
      {},
      ['error REPLICATION_ROLE'],
    ],
    ['with slots that keep anything', { maxSlotWalKeepSize: null }, {}, ['warning SLOT_WAL_LIMIT']],
    ['with slots that keep little', { maxSlotWalKeepSize: GB - 1 }, {}, ['warning SLOT_WAL_LIMIT']],
    ['with slots that keep just enough', { maxSlotWalKeepSize: GB }, {}, []],
    ['with a dead connection kept for ever', { walSenderTimeout: 0 }, {}, ['warning WAL_SENDER_TIMEOUT']],
    ['with a timeout that is short', { walSenderTimeout: 9999 }, {}, ['warning WAL_SENDER_TIMEOUT']],
    ['that gives up idle slots', {}, { slotIdleTimeout: 300 }, ['warning SLOT_IDLE_TIMEOUT']],
    ['that gives up idle slots after days', {}, { slotIdleTimeout: 3 * 24 * 3600 }, []],
    ['with little memory for decoding', {}, { decodingMemory: 64 * 1024 }, ['warning DECODING_MEMORY']],
    ['that allows no messages', {}, { mayEmitMessages: false }, ['error EMIT_MESSAGE']],
    ['with large objects', {}, { largeObjects: true }, ['warning LARGE_OBJECTS']],
    ['whose commits wait unseen', {}, { hiddenWaits: true }, ['warning SYNCHRONOUS_STANDBY']],
    ['a standby before 16', { inRecovery: true, version: 150000 }, {}, ['error SOURCE_STANDBY']],
    ['a standby that is to be published', { inRecovery: true }, {}, ['error SOURCE_STANDBY']],
  ])('%s', (_, source, settings, expected) => {
    expect(grade(classifySource({ ...SOURCE, ...source }, { ...SETTINGS, ...settings }, {}))).toEqual(expected);
  });

  it('a standby with a publication of its primary, but without feedback', () => {
    const standby = { ...SOURCE, inRecovery: true };
    const needs = { managedPublication: false };
    expect(
      grade(
        classifySource(standby, { ...SETTINGS, hotStandbyFeedback: false, mayEmitMessages: false, hiddenWaits: true }, needs),
      ),
    ).toEqual(['warning HOT_STANDBY_FEEDBACK']);
    expect(grade(classifySource(standby, SETTINGS, needs))).toEqual([]);
  });

  it('a slot that is there already needs no other', () => {
    const busy = { ...SOURCE, slots: { max: 1, free: 0 }, walSenders: { max: 1, free: 0 } };
    expect(grade(classifySource(busy, SETTINGS, { slotExists: true }))).toEqual([]);
  });
});

const CONNECTION: ConnectionFacts = {
  version: '18.4',
  database: 'app',
  user: 'app',
  place: 'db1:5432',
  local: false,
  encrypted: true,
  sslmode: 'verify-full',
  roundTripMs: 1,
  clockOffsetMs: 0,
};

describe('a connection', () => {
  it.each<[what: string, facts: Partial<ConnectionFacts>, expected: string[]]>([
    ['encrypted and near', {}, []],
    ['open on a network', { encrypted: false }, ['warning ENCRYPTION']],
    ['open on this machine', { encrypted: false, local: true }, []],
    ['with a clock ahead', { clockOffsetMs: 5002 }, ['warning CLOCK']],
    ['with a clock behind', { clockOffsetMs: -60_000 }, ['warning CLOCK']],
    ['so slow that the clock cannot be told', { clockOffsetMs: 9000, roundTripMs: 8000 }, []],
  ])('%s', (_, facts, expected) => {
    expect(grade(classifyConnection('source', { ...CONNECTION, ...facts }))).toEqual(expected);
  });

  it.each(['prefer', 'require', 'verify-ca', 'verify-full'] as const)('says what sslmode=%s proves', (sslmode) => {
    const said = classifyConnection('target', { ...CONNECTION, sslmode }).find(({ code }) => code === 'ENCRYPTION')?.message;
    const expected = {
      prefer: 'not checked',
      require: 'not checked',
      'verify-ca': 'the host name is not',
      'verify-full': 'are checked',
    };
    expect(said).toContain(expected[sslmode]);
  });

  it('tells a pooler from a lack of WAL senders', () => {
    const busy = Object.assign(new Error('too many'), { code: '53300', severity: 'FATAL' });
    const problem = new Problem('SOURCE_UNREACHABLE', 'The source says no.', { remedy: 'x', cause: busy });
    expect(replicationRefused(problem).remedy).toContain('max_wal_senders');
    expect(replicationRefused(new Error('unsupported startup parameter: replication')).remedy).toContain('PgBouncer');
  });
});

const TARGET: TargetFacts = {
  version: 140000,
  versionText: '14.0',
  inRecovery: false,
  readOnlyBy: null,
  replicaRole: null,
  user: 'app',
  mayUseOrigins: true,
};

test.each<[what: string, facts: Partial<TargetFacts>, expected: string[], remedy: RegExp]>([
  ['as it should be', {}, [], /^$/],
  ['too old', { version: 139999, versionText: '13.9' }, ['error TARGET_VERSION'], /Upgrade/],
  ['a standby', { inRecovery: true, readOnlyBy: 'server' }, ['error TARGET_READ_ONLY'], /primary/],
  ['read-only by its database', { readOnlyBy: 'database my app' }, ['warning TARGET_READ_ONLY'], /ALTER DATABASE "my app" RESET/],
  ['read-only as a server', { readOnlyBy: 'server' }, ['warning TARGET_READ_ONLY'], /ALTER SYSTEM RESET/],
  [
    'without the replica role',
    { replicaRole: { code: 'REPLICA_ROLE_REFUSED', message: 'No.', remedy: 'GRANT … TO <role>;' } },
    ['warning SESSION_REPLICATION_ROLE'],
    /TO "app";/,
  ],
  ['without origins', { mayUseOrigins: false }, ['warning REPLICATION_ORIGIN'], /pg_replication_origin_create/],
])('a target %s', (_, facts, expected, remedy) => {
  const findings = classifyTarget({ ...TARGET, ...facts });
  expect(grade(findings)).toEqual(expected);
  expect(findings.find(({ level }) => level !== 'ok')?.remedy ?? '').toMatch(remedy);
});

describe('transactions that have been open', () => {
  const open = { pid: 7, preparedAs: null, database: 'app', ageSeconds: 11, query: null };
  const prepared = { ...open, pid: null, preparedAs: "it's" };
  it.each<[seconds: number | null, slotExists: boolean, expected: string[]]>([
    [11, false, ['warning LONG_TRANSACTION', 'warning PREPARED_TRANSACTION']],
    [9, false, []],
    [11, true, []],
    [901, true, ['warning LONG_TRANSACTION', 'warning PREPARED_TRANSACTION']],
    [null, false, []],
  ])('%s s, slot there: %s', (ageSeconds, slotExists, expected) => {
    const transactions = [
      { ...open, ageSeconds },
      { ...prepared, ageSeconds },
    ];
    expect(grade(classifyTransactions(transactions, { slotExists }))).toEqual(expected);
  });

  it('have what ends them', () => {
    const [long, two] = classifyTransactions([open, prepared], { slotExists: false });
    expect(long?.remedy).toContain('pg_terminate_backend(7)');
    expect(two?.remedy).toContain("COMMIT PREPARED 'it''s'");
  });
});

const HERE: Surroundings = {
  database: 'app',
  encoding: 'UTF8',
  provider: 'libc',
  collate: 'en_US.utf8',
  ctype: 'en_US.utf8',
  collationVersion: '2.36',
  actualVersion: '2.36',
  extensions: ['plpgsql'],
};

test.each<[what: string, source: Partial<Surroundings>, target: Partial<Surroundings>, expected: string[]]>([
  ['the same', {}, {}, []],
  ['a target that holds less', {}, { encoding: 'LATIN1' }, ['warning ENCODING']],
  ['a target that holds more', { encoding: 'LATIN1' }, {}, []],
  ['a source with any bytes', { encoding: 'SQL_ASCII' }, {}, ['warning ENCODING']],
  ['another locale', {}, { collate: 'C', ctype: 'C' }, ['warning COLLATION']],
  ['another provider', {}, { provider: 'icu' }, ['warning COLLATION']],
  ['another version', {}, { collationVersion: '2.41', actualVersion: '2.41' }, ['warning COLLATION']],
  ['indexes of an older system', { actualVersion: '2.41' }, {}, ['warning COLLATION_VERSION']],
  ['a server that keeps no versions', { collationVersion: null, actualVersion: null }, {}, []],
  ['an extension more', { extensions: ['citext', 'plpgsql'] }, {}, ['warning EXTENSION']],
  ['an extension less', {}, { extensions: ['citext', 'plpgsql'] }, []],
])('surroundings: %s', (_, source, target, expected) => {
  expect(grade(classifySurroundings({ ...HERE, ...source }, { ...HERE, ...target }))).toEqual(expected);
});

test.each<[exists: boolean, usage: boolean, mayCreate: boolean, expected: string[]]>([
  [true, true, false, []],
  [true, false, true, ['error METADATA']],
  [false, false, true, []],
  [false, false, false, ['error METADATA']],
])('schema pgfollow there: %s, usable: %s, can be made: %s', (exists, usage, mayCreate, expected) => {
  expect(grade(classifyMetadata({ exists, usage, mayCreate, database: 'app', user: 'u' }))).toEqual(expected);
});

test('tables are only created on the same version or a newer one', () => {
  const name = { schema: 'public', name: 't' };
  const mapping = { source: name, target: name, excludeColumns: [], renameColumns: {}, where: null };
  const missing = [{ name: 'public.t', mapping, source: {} as never, target: null, columns: null }];
  const rights = { user: 'u', database: 'd', mayCreateSchemas: true, schemas: { public: true } };
  expect(grade(classifyCreation(missing, rights, { source: 18, target: 17 }))).toEqual(['error SCHEMA_NOT_CREATED']);
  expect(grade(classifyCreation(missing, rights, { source: 17, target: 18 }))).toEqual([]);
});

test('triggers and foreign keys of the target matter by who writes there', () => {
  const source = { oid: 7, schema: 'public', name: 't' } as never;
  const mapping = { source, target: source, excludeColumns: [], renameColumns: {}, where: null };
  const pairs = [{ name: 'public.t', mapping, source, target: source, columns: [] }];
  const of = (parts: Partial<Actors>, replicaRole: boolean): string[] =>
    grade(classifyActors(pairs, new Map([[7, { oid: 7, always: [], ordinary: [], foreignKeys: 0, ...parts }]]), { replicaRole }));
  expect(of({ ordinary: ['a'], foreignKeys: 2 }, true)).toEqual([]);
  expect(of({ ordinary: ['a'], foreignKeys: 2 }, false)).toEqual(['warning TARGET_TRIGGERS', 'warning TARGET_TRIGGERS']);
  expect(of({ always: ['a'] }, true)).toEqual(['warning TARGET_TRIGGERS']);
  expect(of({}, false)).toEqual([]);
});

test('an index that is still to be built is not missed', () => {
  const column = { name: 'id', attnum: 1, generated: 'no', identity: 'no' };
  const source = { schema: 'public', name: 't', identityColumns: ['id'], uniqueIndexes: [], columns: [column] } as never;
  const mapping = { source, target: source, excludeColumns: [], renameColumns: {}, where: null };
  const pairs = [{ name: 'public.t', mapping, source, target: source, columns: [] }];
  expect(grade(classifyIndexes(pairs, new Set()))).toEqual(['warning TARGET_INDEX']);
  expect(grade(classifyIndexes(pairs, new Set(['public.t'])))).toEqual([]);
});

describe('here', () => {
  const config = (http: object) =>
    configSchema.parse({ source: { url: 'postgresql://x/a' }, target: { url: 'postgresql://y/a' }, http });
  it.each<[http: object, expected: string[]]>([
    [{}, []],
    [{ insecure: true }, []],
    [{ insecure: true, host: '0.0.0.0' }, ['warning HTTP_OPEN']],
  ])('http %j', (http, expected) => expect(grade(classifyConfig(config(http)))).toEqual(expected));

  it.each<[mode: number | null, expected: string[]]>([
    [0o100600, []],
    [0o100640, ['warning PASSWORD_FILE']],
    [null, ['warning PASSWORD_FILE']],
  ])('a password file with mode %s', (mode, expected) => expect(grade(classifyPasswordFile('/p', mode))).toEqual(expected));

  it.each<[free: number, expected: string[]]>([
    [2 * GB, []],
    [2 * GB - 1, ['warning DISK']],
    [GB - 1, ['error DISK']],
  ])('%s bytes free for 1 GB of tables', (free, expected) => expect(grade(classifyDisk(GB, free))).toEqual(expected));
});
