import type { Finding } from './finding.ts';

/** POST /api/v1/tables?dryRun=true: what following one more table would come down to. */
export interface TablePlan {
  readonly table: string;
  readonly target: string;
  /** Whether nothing stands in the way. */
  readonly possible: boolean;
  /** Rows by the statistics of the source; null where it has none. */
  readonly rows: number | null;
  /** Size on the source, without indexes. */
  readonly bytes: number;
  /** How its rows would be found again on the target. */
  readonly identity: 'primary_key' | 'index' | 'full' | 'nothing';
  readonly targetExists: boolean;
  /** Whether the target table holds rows; null where there is none, or it cannot be read. */
  readonly targetHasRows: boolean | null;
  /** What would be run on the source, beside the publication. */
  readonly sourceStatements: readonly string[];
  /** What would be created on the target, in its order. */
  readonly creates: readonly string[];
  /** What would happen, a sentence each. */
  readonly steps: readonly string[];
  /** What should be known before, and what stands in the way. */
  readonly findings: readonly Finding[];
}
