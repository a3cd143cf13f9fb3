import type { CopyPoint } from '../snapshot/copy-round.ts';

/** A point whose snapshot is alive until it is disposed of, and with it the connection that holds it. */
export type HeldPoint = CopyPoint & AsyncDisposable;
