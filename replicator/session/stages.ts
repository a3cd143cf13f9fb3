import type { Client } from 'pg';
import { Applier, type ApplierOptions } from '../apply/applier.ts';
import { readTypes } from '../catalog/read-relations.ts';
import { isEncrypted } from '../postgres/connect.ts';
import type { Lsn } from '../postgres/lsn.ts';
import { WalStream } from '../source/wal-stream.ts';
import { on } from './blame.ts';
import type { Ends } from './ends.ts';
import { SequenceKeeper, type SequenceOptions } from './sequences.ts';

/** Source and target as they are in this session. */
export function versionsOf({ sourceIdentity, targetVersion }: Ends): { sourceVersion: number; targetVersion: number } {
  return { sourceVersion: sourceIdentity.version, targetVersion };
}

/** The stream as it is configured, not begun. `streaming`: transactions in progress too, where that is allowed. */
export function streamFrom(
  ends: Ends,
  { from, binary, streaming }: { from: Lsn; binary: boolean; streaming: boolean },
): WalStream {
  const { config, source } = ends;
  return new WalStream({
    url: config.source.url,
    encrypted: isEncrypted(source),
    slot: config.slot.name,
    publications: config.publication.names,
    from,
    binary,
    streaming: streaming && config.apply.streaming === 'auto',
    origin: config.origin,
    purpose: `${config.name} stream`,
  });
}

/** What applies as it is configured, on this connection of the target. */
export function applierOn(
  client: Client,
  ends: Ends,
  options: Pick<ApplierOptions, 'checkpoint' | 'binary' | 'routeOf' | 'quarantine'>,
): Applier {
  const { config, source } = ends;
  return new Applier({
    ...options,
    client,
    pipeline: config.name,
    source: { versions: versionsOf(ends), types: (oids) => on('source', readTypes(source, oids)) },
    onConflict: config.apply.onConflict,
    onMissing: config.apply.onMissing,
  });
}

/** Brings sequences, where that is configured. With origin: none each side may count on its own. */
export function sequencesOf(ends: Ends, options: Pick<SequenceOptions, 'tables' | 'observer'>): SequenceKeeper {
  const { config, source, target } = ends;
  const wanted = config.sequences === 'on' || (config.sequences === 'auto' && config.origin !== 'none');
  return new SequenceKeeper({ ...options, source, target, on: wanted });
}
