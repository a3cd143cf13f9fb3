import type { TableSeries } from './table-series.ts';

const OPS = ['insert', 'update', 'delete', 'truncate'] as const;
const KINDS = ['insertExists', 'updateMissing', 'deleteMissing'] as const;

interface TableMetric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  /** The lines' values, each with the label that comes after the table's, as it is written: `,op="insert"`. */
  readonly values: (series: TableSeries) => readonly (readonly [more: string, value: number])[];
}

/** Metrics with the label `table`; the one place where their names stand. */
const TABLE_METRICS: readonly TableMetric[] = [
  {
    name: 'rows_applied_total',
    type: 'counter',
    help: 'Row changes committed on the target; truncate counts statements.',
    values: ({ applied }) => OPS.map((op) => [`,op="${op}"`, applied[op]]),
  },
  {
    name: 'conflicts_total',
    type: 'counter',
    help: 'Changes that did not find the target as the source had it.',
    values: ({ conflicts }) => KINDS.map((kind) => [`,kind="${kind}"`, conflicts[kind]]),
  },
  {
    name: 'snapshot_rows_total',
    type: 'counter',
    help: 'Rows that copies have read.',
    values: ({ copied }) => [['', copied.rows]],
  },
  {
    name: 'snapshot_bytes_total',
    type: 'counter',
    help: 'Bytes that copies have read.',
    values: ({ copied }) => [['', copied.bytes]],
  },
  {
    name: 'snapshot_rows_estimated',
    type: 'gauge',
    help: 'Rows of a table by the statistics of the source; absent where it has none.',
    values: ({ rowsEstimated }) => (rowsEstimated === null ? [] : [['', rowsEstimated]]),
  },
  {
    name: 'spool_bytes',
    type: 'gauge',
    help: 'Changes kept on the target for a table that cannot take them yet.',
    values: ({ spooledBytes }) => [['', spooledBytes]],
  },
  {
    name: 'validation_mismatched_rows',
    type: 'gauge',
    help: 'Rows that differed when both sides were compared last; absent before, and once the table was copied again.',
    values: ({ mismatchedRows }) => (mismatchedRows === null ? [] : [['', mismatchedRows]]),
  },
  {
    name: 'validation_last_success_timestamp_seconds',
    type: 'gauge',
    help: 'When both sides were compared last and found equal; absent before.',
    values: ({ equalAtMs }) => (equalAtMs === null ? [] : [['', equalAtMs / 1000]]),
  },
];

/**
 * Most of what a scrape gives are lines of tables. Written directly they cost a twentieth of what objects of a library
 * for each would. https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md
 */
export function tableText(series: readonly TableSeries[]): string {
  const lines: string[] = [];
  const labels = series.map(({ label }) => escapeLabel(label));
  for (const { name, type, help, values } of TABLE_METRICS) {
    lines.push(`# HELP pgfollow_${name} ${help}`, `# TYPE pgfollow_${name} ${type}`);
    for (const [i, one] of series.entries())
      for (const [more, value] of values(one)) lines.push(`pgfollow_${name}{table="${labels[i]}"${more}} ${value}`);
    lines.push('');
  }
  return lines.join('\n');
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}
