/** What a look at a database or a configuration found, without changing anything. */
export interface Finding {
  readonly level: 'ok' | 'warning' | 'error';
  /** `schema.table` on the source, where the finding concerns one table. */
  readonly table: string | null;
  readonly message: string;
  /** What to do about it, with the SQL or the setting; null where nothing needs doing. */
  readonly remedy: string | null;
}
