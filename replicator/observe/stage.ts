import type { ProblemCode } from '../problem.ts';
import type { Stage } from './readings.ts';

/** Where each problem happens, for errors_total{stage}. */
const STAGE_OF: Readonly<Record<ProblemCode, Stage>> = {
  SOURCE_UNREACHABLE: 'source',
  SOURCE_UNSUITABLE: 'source',
  SLOT_MISSING: 'source',
  SLOT_AHEAD: 'source',
  SLOT_LOST: 'source',
  SLOT_FOREIGN: 'source',
  SLOT_IN_USE: 'source',
  SNAPSHOT_LOST: 'source',
  TABLE_REWRITTEN: 'snapshot',
  SLOT_WAITING: 'source',
  PUBLICATION_MISSING: 'source',
  TARGET_UNREACHABLE: 'target',
  TARGET_UNSUITABLE: 'target',
  TARGET_LOCKED: 'target',
  METADATA_NEWER: 'target',
  STREAM_INVALID: 'decode',
  SPILL_FAILED: 'decode',
  APPLY_FAILED: 'apply',
  ROW_MISSING: 'apply',
  ROW_EXISTS: 'apply',
  ROWS_DIFFER: 'apply',
  CHECKPOINT_LOST: 'apply',
  COPY_FAILED: 'snapshot',
  TARGET_TABLE_NOT_EMPTY: 'snapshot',
  SEQUENCE_NOT_SET: 'snapshot',
  NO_TABLES: 'catalog',
  TABLE_NOT_PUBLISHABLE: 'catalog',
  SOURCE_TABLE_MISSING: 'catalog',
  TARGET_TABLE_MISSING: 'catalog',
  SCHEMA_NOT_CREATED: 'catalog',
  FOREIGN_KEY_NOT_CREATED: 'catalog',
  TARGET_COLUMN_MISSING: 'catalog',
  TARGET_COLUMN_TYPE: 'catalog',
  TYPE_EXCHANGED: 'catalog',
  VALUE_NOT_SENT: 'apply',
  ROW_FILTER_UNSUPPORTED: 'catalog',
  CONFIG_INVALID: 'pipeline',
  SAME_DATABASE: 'pipeline',
  PIPELINE_LOCKED: 'pipeline',
  FOREIGN_CHECKPOINT: 'pipeline',
  PORT_IN_USE: 'pipeline',
  NOT_POSSIBLE_NOW: 'pipeline',
  NOT_IMPLEMENTED: 'pipeline',
  INTERNAL: 'pipeline',
};

export function stageOf(code: ProblemCode): Stage {
  return STAGE_OF[code];
}
