import { INSERT_SPOOL_ROW } from '../metadata/spool.ts';
import { TYPE_OID } from '../postgres/oid.ts';
import type { StatementPipe } from '../postgres/statement-pipe.ts';
import type { SpoolRow } from '../spool/spooled-changes.ts';

const BYTEA = 17;
const BOOL = 16;

/** Writes one row of the spool into the transaction that moves the checkpoint past its changes. */
export function writeSpoolRow(pipe: StatementPipe, row: SpoolRow & { pipeline: string; binary: boolean }): void {
  pipe.parse('', INSERT_SPOOL_ROW, [TYPE_OID.text, TYPE_OID.text, TYPE_OID.text, BOOL, BYTEA]);
  const writer = pipe.bind('', [0, 0, 0, 0, 1]);
  writer.textParameter(row.pipeline);
  writer.textParameter(row.source.schema);
  writer.textParameter(row.source.name);
  writer.textParameter(row.binary ? 't' : 'f');
  writer.int32(row.bytes);
  for (const part of row.parts) writer.bytes(part);
  pipe.execute();
}
