import { RANGES, SERIES } from '../observe/history.ts';
import { ACTIVITIES } from '../observe/work.ts';
import { PIPELINE_STATES, TABLE_STATES } from '../observe/status.ts';

type Schema = Record<string, unknown>;

const text = { type: 'string' };
const number = { type: 'number', minimum: 0 };
const count = { type: 'integer', minimum: 0 };
const share = { type: 'number', minimum: 0, maximum: 1 };
const flag = { type: 'boolean' };
const time = { type: 'string', format: 'date-time' };
const lsn = { type: ['string', 'null'], pattern: '^[0-9A-F]{1,8}/[0-9A-F]{1,8}$' };

function orNull(schema: Schema): Schema {
  return { ...schema, type: [schema['type'], 'null'] };
}

/** Every property is always there; what is not known is null. */
function object(properties: Schema, optional: readonly string[] = []): Schema {
  return { type: 'object', properties, required: Object.keys(properties).filter((name) => !optional.includes(name)) };
}

function counts(names: readonly string[]): Schema {
  return object(Object.fromEntries(names.map((name) => [name, count])));
}

const operations = ['insert', 'update', 'delete', 'truncate'];
const database = { connected: flag, serverVersion: orNull(text), database: orNull(text) };
const finding = {
  code: text,
  level: { type: 'string', enum: ['warning', 'error'] },
  where: { type: 'string', enum: ['config', 'network', 'source', 'target'] },
  table: orNull(text),
  message: text,
  remedy: orNull(text),
};
const identity = { type: 'string', enum: ['primary_key', 'index', 'full', 'nothing'] };
const texts = { type: 'array', items: text };
const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const problem = { code: text, message: text, remedy: { ...text, description: 'What to do, with the SQL or the command.' } };

const validation = {
  state: {
    type: 'string',
    enum: ['waiting', 'running', 'equal', 'different', 'unsettled', 'failed', 'cancelled'],
    description: 'unsettled: no row differs, but some were changed too often to tell.',
  },
  startedAt: orNull(time),
  finishedAt: orNull(time),
  rows: { ...count, description: 'Rows of the source that have been compared.' },
  missing: { ...count, description: 'Rows that only the source has.' },
  extra: { ...count, description: 'Rows that only the target has.' },
  different: { ...count, description: 'Rows that hold other values on the target.' },
  unsettled: count,
  complete: { ...flag, description: 'False where it stopped because very many rows differ.' },
  examples: {
    type: 'array',
    items: object({
      kind: { type: 'string', enum: ['missing', 'extra', 'different'] },
      key: { ...text, description: 'The key, or where the row lies in a table without one.' },
    }),
  },
  columnsNotCompared: { type: 'array', items: text },
  reason: { ...orNull(text), description: 'Why it failed.' },
};

/** components.schemas: LSNs as text, counters and byte counts as numbers, times RFC 3339 in UTC. */
export const SCHEMAS: Record<string, Schema> = {
  Sequences: object({
    followed: count,
    faults: { type: 'array', items: object({ table: text, message: text, remedy: text }) },
  }),
  Status: object({
    name: text,
    version: text,
    state: { type: 'string', enum: PIPELINE_STATES },
    since: time,
    summary: { ...text, description: 'One sentence for people.' },
    source: object({ ...database, walEnd: lsn }),
    target: object(database),
    slot: {
      oneOf: [
        object({
          name: text,
          active: flag,
          walStatus: orNull(text),
          retainedBytes: orNull(count),
          limitBytes: { ...orNull(count), description: 'max_slot_wal_keep_size; null when unlimited.' },
        }),
        { type: 'null' },
      ],
    },
    position: object({
      received: lsn,
      applied: {
        ...lsn,
        description:
          'Every source transaction whose commit ends at or before it is visible on the target, or concerned no followed table.',
      },
      acknowledged: lsn,
    }),
    lag: object({ seconds: orNull(number), bytes: orNull(count) }),
    rates: object({ rowsPerSecond: number, transactionsPerSecond: number }),
    totals: counts([...operations, 'transactions']),
    work: {
      ...object({
        seconds: { ...number, description: 'How much of the last minute is accounted for.' },
        shares: object(Object.fromEntries(ACTIVITIES.map((activity) => [activity, share]))),
        queueFull: { ...share, description: 'Part of it in which reading stood still because enough waited for the target.' },
        bottleneck: { type: ['string', 'null'], enum: [...ACTIVITIES, null] },
        summary: { ...text, description: 'Why the target is as far behind as it is, for people.' },
      }),
      description: 'Where the last minute went, in parts of 1.',
    },
    tables: counts(['total', ...TABLE_STATES]),
    copy: {
      oneOf: [
        object({
          startedAt: time,
          tables: count,
          tablesDone: count,
          rows: count,
          rowsEstimated: orNull(count),
          bytes: count,
          rowsPerSecond: number,
          bytesPerSecond: number,
          share: { ...orNull(share), description: 'Part that is done; null where the estimate is missing or proved wrong.' },
          secondsLeft: {
            ...orNull(count),
            description: 'From the pace of the last minute; null before there is enough to tell from.',
          },
        }),
        { type: 'null' },
      ],
      description: 'Tables that are being copied, together; null while there are none.',
    },
    problems: {
      type: 'array',
      items: object({
        ...problem,
        since: time,
        table: orNull(text),
        retryAt: { ...orNull(time), description: 'When it is tried again by itself.' },
        occurrences: { ...count, description: 'How often it has happened since it last went well.' },
      }),
    },
  }),
  Table: object({
    source: text,
    target: text,
    state: { type: 'string', enum: TABLE_STATES },
    identity,
    snapshot: object({
      rowsCopied: count,
      rowsEstimated: orNull(count),
      bytesCopied: count,
      startedAt: orNull(time),
      finishedAt: orNull(time),
    }),
    applied: counts(operations),
    conflicts: counts(['insertExists', 'updateMissing', 'deleteMissing']),
    spooledBytes: count,
    lastChangeAt: orNull(time),
    validation: {
      oneOf: [
        object({ ...validation, equalAt: { ...orNull(time), description: 'When both sides were found equal last.' } }),
        { type: 'null' },
      ],
      description: 'The last comparison of both sides that came to an end in this process.',
    },
    waiting: {
      oneOf: [object({ message: text, remedy: text, since: time }), { type: 'null' }],
      description: 'What it waits for on the source before it can be copied, or compared; null where it does not.',
    },
    error: { oneOf: [object(problem), { type: 'null' }] },
  }),
  Validations: object({
    running: flag,
    requestedBy: orNull(text),
    startedAt: orNull(time),
    finishedAt: orNull(time),
    tables: { type: 'array', items: object({ table: text, ...validation }) },
  }),
  Findings: object({
    checkedAt: { ...orNull(time), description: 'Null before the first look, a moment after the start.' },
    findings: {
      type: 'array',
      items: object({ ...finding, since: time }),
    },
  }),
  Event: object(
    {
      id: { ...count, description: 'Rises with time, over restarts too.' },
      at: time,
      level: { type: 'string', enum: ['info', 'warn', 'error'] },
      table: text,
      ...problem,
    },
    ['table', 'remedy'],
  ),
  History: object({
    range: { type: 'string', enum: Object.keys(RANGES) },
    stepSeconds: count,
    from: { ...time, description: 'When the first step begins; the value at index i is of the step i steps later.' },
    series: {
      ...object(Object.fromEntries(SERIES.map((name) => [name, { type: 'array', items: orNull(number) }]))),
      description: 'Of a minute: lag and bytes as they were at worst, rates as their mean. Null where nothing is known.',
    },
  }),
  Plan: object({
    table: text,
    target: text,
    possible: { ...flag, description: 'Whether nothing stands in the way.' },
    rows: { ...orNull(count), description: 'By the statistics of the source; null where it has none.' },
    bytes: count,
    identity,
    targetExists: flag,
    targetHasRows: { type: ['boolean', 'null'], description: 'Null where there is no target table, or it cannot be read.' },
    sourceStatements: { ...texts, description: 'What would be run on the source, beside the publication.' },
    creates: { ...texts, description: 'What would be created on the target, in its order.' },
    steps: { ...texts, description: 'What would happen, a sentence each.' },
    findings: { type: 'array', items: object(finding) },
  }),
  Config: object({
    config: { type: 'object' },
    origins: { type: 'object', additionalProperties: text, description: 'Setting -> where its value came from.' },
  }),
  Diagnostics: object({
    at: time,
    versions: object({ pgfollow: text, node: text, system: text, source: orNull(text), target: orNull(text) }),
    process: object({ uptimeSeconds: count, residentBytes: count }),
    status: ref('Status'),
    tables: { type: 'array', items: ref('Table') },
    findings: ref('Findings'),
    validations: ref('Validations'),
    events: { type: 'array', items: ref('Event') },
    history: object(Object.fromEntries(Object.keys(RANGES).map((range) => [range, ref('History')]))),
    config: { type: 'object' },
    origins: { type: 'object', additionalProperties: text },
    metrics: { ...text, description: 'What GET /metrics gives.' },
  }),
  Problem: object({
    type: text,
    title: text,
    status: { type: 'integer' },
    detail: text,
    instance: text,
    code: text,
    remedy: text,
  }),
};
