import { z } from 'zod';
import { choice, duration, durationOrOff, flag, integer, setting, size, tableText, url } from './setting-kinds.ts';

const SLOT_NAME = /^[a-z0-9_]{1,63}$/;
const SLOT_NAME_ALLOWED = '1 to 63 of a-z, 0-9 and _';

const PATTERN_ALLOWED =
  'schema.table patterns with *, as the catalog writes them; "quoted" where a name holds a dot, comma, quote or *';
const NAME_ALLOWED = 'schema.table without *, as the catalog writes it; "quoted" where a name holds a dot, comma, quote or *';

const mapEntry = z.strictObject({
  from: setting(tableText('concrete'), { description: 'The table on the source.', allowed: NAME_ALLOWED }),
  to: setting(tableText('concrete'), { description: 'The table on the target.', allowed: NAME_ALLOWED }),
  columns: z
    .strictObject({
      exclude: setting(z.array(z.string().min(1)).default([]), {
        description: 'Source columns that are not carried over.',
        allowed: 'a list of column names',
      }),
      rename: setting(z.record(z.string().min(1), z.string().min(1)).default({}), {
        description: 'Source column: target column, where the names differ.',
        allowed: 'source column: target column',
      }),
    })
    .prefault({}),
  where: setting(z.string().trim().min(1).nullable().default(null), {
    description: 'Row filter in SQL, pushed into the publication (PostgreSQL 15 or newer on the source).',
    allowed: 'an SQL condition on columns of the source table',
    defaultText: 'none',
  }),
});

/** The configuration as a file writes it: CONTRACT names and defaults, unknown keys refused. */
export const fileSchema = z.strictObject({
  name: setting(z.string().regex(SLOT_NAME).default('pgfollow'), {
    description: 'Name of the pipeline; slot, publication and metadata rows take it.',
    allowed: SLOT_NAME_ALLOWED,
  }),
  source: z.strictObject({ url: url('The database to follow. sslmode as in libpq; PGPASSFILE works.') }).prefault({} as never),
  target: z
    .strictObject({ url: url('The database to keep in step. sslmode as in libpq; PGPASSFILE works.') })
    .prefault({} as never),
  tables: z
    .strictObject({
      include: setting(z.array(tableText('pattern')).min(1).default(['*.*']), {
        description: 'Tables to follow. System schemas and the schema pgfollow never match.',
        allowed: PATTERN_ALLOWED,
      }),
      exclude: setting(z.array(tableText('pattern')).default([]), {
        description: 'Tables that are not followed although tables.include matches them.',
        allowed: PATTERN_ALLOWED,
        defaultText: 'none',
      }),
      map: setting(z.array(mapEntry).default([]), {
        description: 'Tables that have another name, other columns or fewer rows on the target.',
        allowed: 'a list of {from, to, columns: {exclude, rename}, where}',
        defaultText: 'none',
      }),
    })
    .prefault({}),
  publication: z
    .strictObject({
      names: setting(z.array(z.string().min(1).max(63)).min(1).optional(), {
        description: 'Publications to read from.',
        allowed: 'a list of publication names; exactly one while publication.managed is true',
        defaultText: 'the name of the pipeline',
      }),
      managed: flag(
        true,
        'Create the publication and keep it in step with tables.*. false: use it as it is, create and alter nothing.',
      ),
      viaPartitionRoot: flag(true, 'Publish changes of partitions as changes of the partitioned table.'),
    })
    .prefault({}),
  slot: z
    .strictObject({
      name: setting(z.string().regex(SLOT_NAME).optional(), {
        description: 'Name of the logical replication slot on the source.',
        allowed: SLOT_NAME_ALLOWED,
        defaultText: 'the name of the pipeline',
      }),
      failover: flag(
        false,
        'Create the slot with FAILOVER, to be synchronized to standbys (PostgreSQL 17 or newer). Set later, one that is there gets it; false takes it from none.',
      ),
    })
    .prefault({}),
  schema: z
    .strictObject({
      create: choice(['missing', 'never'], 'missing', 'Whether target tables that do not exist are created.'),
    })
    .prefault({}),
  snapshot: z
    .strictObject({
      copy: flag(true, 'Copy the rows that exist before following the changes. false: stream only, the data is there already.'),
      workers: integer({ min: 1, max: 64, fallback: 4 }, 'Connections that copy at the same time, on each side.'),
      existingRows: choice(
        ['error', 'truncate', 'keep'],
        'error',
        'What to do before copying into a target table that is not empty.',
      ),
    })
    .prefault({}),
  apply: z
    .strictObject({
      onConflict: choice(['error', 'source_wins'], 'error', 'For an INSERT whose key exists on the target.'),
      onMissing: choice(
        ['skip', 'insert', 'error'],
        'skip',
        'For an UPDATE or DELETE whose row is missing on the target; always counted.',
      ),
      onError: choice(
        ['table', 'pipeline'],
        'table',
        'What stops when a change cannot be applied: that table alone (its changes spool), or everything.',
      ),
      maxBatchBytes: size(
        { min: 65_536, max: 1024 ** 3, fallback: '16MB' },
        'Most bytes of changes in one target transaction, whole source transactions aside.',
      ),
      binary: choice(['auto', 'never'], 'auto', 'Values in binary where the types of both ends allow it.'),
      streaming: choice(['auto', 'off'], 'auto', 'Receive large transactions while they are still in progress on the source.'),
      spillDirectory: setting(z.string().min(1).nullable().default(null), {
        description: 'Folder for what is received of transactions in progress and does not fit into memory.',
        allowed: 'a folder that exists and can be written to',
        defaultText: 'TMPDIR where it is set, else /var/tmp',
      }),
      maxSpillBytes: size(
        { min: 1024 ** 2, max: 1024 ** 5, fallback: '8GB' },
        'Most bytes in that folder. Where they do not suffice, the source keeps such transactions until their commit.',
      ),
    })
    .prefault({}),
  origin: choice(
    ['any', 'none'],
    'any',
    'none: changes that reached the source by replication themselves are not followed (PostgreSQL 16 or newer).',
  ),
  sequences: choice(
    ['auto', 'on', 'off'],
    'auto',
    'Sequences that followed tables take values from are kept as far as on the source. auto: on, but off with origin: none, where both sides give values.',
  ),
  heartbeat: z
    .strictObject({
      interval: duration(
        { min: 100, max: 3_600_000, fallback: '1s' },
        'How often a message is written on the source to measure the lag and to move the slot on an idle database.',
      ),
    })
    .prefault({}),
  validation: z
    .strictObject({
      interval: durationOrOff(
        { min: 1000, max: 2_592_000_000 },
        'How long after each comparison, and after the first start, the rows of both sides are compared by themselves, as pgfollow validate does.',
      ),
    })
    .prefault({}),
  http: z
    .strictObject({
      host: setting(z.string().min(1).default('127.0.0.1'), {
        description: 'Address of the status page, API and metrics. The container image sets 0.0.0.0.',
        allowed: 'a host name or address',
      }),
      port: integer({ min: 0, max: 65_535, fallback: 5884 }, 'Port of the status page, API and metrics; 0 takes a free one.'),
      token: setting(z.string().min(1).nullable().default(null), {
        description: 'Bearer token for every path but /livez and /readyz. Needed to bind anything but loopback.',
        allowed: 'a text that is not empty',
        secret: true,
        defaultText: 'none',
      }),
      insecure: flag(false, 'Bind beyond loopback without a token.'),
      metricsTables: integer(
        { min: 0, max: 10_000, fallback: 200 },
        'How many tables have metrics of their own; what goes beyond is summed up under the label (others).',
      ),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'info', 'Least severe level that is logged.'),
    })
    .prefault({}),
});

/** fileSchema with the names that follow from the pipeline's name filled in. */
export const configSchema = fileSchema.transform((config) => ({
  ...config,
  publication: {
    names: config.publication.names ?? [config.name],
    managed: config.publication.managed,
    viaPartitionRoot: config.publication.viaPartitionRoot,
  },
  slot: { name: config.slot.name ?? config.name, failover: config.slot.failover },
}));

/** The effective configuration: every field set, durations in milliseconds, sizes in bytes. */
export type Config = z.output<typeof configSchema>;
