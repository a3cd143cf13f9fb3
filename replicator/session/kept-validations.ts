import type { Client } from 'pg';
import type { Logger } from 'pino';
import { displayName, type RelationName } from '../catalog/relation.ts';
import { readValidations, storeValidation, type StoredValidation } from '../metadata/validations.ts';

interface Kept {
  readonly source: RelationName;
  readonly found: StoredValidation;
}

/**
 * Keeps on the target what comparisons have found, so that a restart does not forget it. One write at a time; what cannot be
 * stored now is tried again with the next one, or when the target is there again.
 */
export class KeptValidations {
  readonly #log: Logger;
  /** By table. */
  readonly #unstored = new Map<string, Kept>();
  #store: ((kept: Kept) => Promise<void>) | null = null;
  #storing = false;
  #recalled = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** The target is there. Gives what earlier processes have found, once. */
  async connected(target: Client, pipeline: string): Promise<Kept[]> {
    const recalled = this.#recalled ? [] : await readValidations(target, pipeline);
    this.#recalled = true;
    this.#store = ({ source, found }) => storeValidation(target, pipeline, source, found);
    void this.#storeAll();
    return recalled;
  }

  disconnected(): void {
    this.#store = null;
  }

  /** What was found of a table last. */
  keep(source: RelationName, found: StoredValidation): void {
    this.#unstored.set(displayName(source), { source, found });
    void this.#storeAll();
  }

  /** It is over before it could be stored. What was stored is known to be over by the table's copy, or went with the table. */
  drop(table: string): void {
    this.#unstored.delete(table);
  }

  async #storeAll(): Promise<void> {
    if (this.#storing) return;
    this.#storing = true;
    try {
      for (const [table, kept] of this.#unstored) {
        if (!this.#store) break;
        await this.#store(kept);
        if (this.#unstored.get(table) === kept) this.#unstored.delete(table);
      }
    } catch (error) {
      this.#log.warn({ err: error }, 'What a comparison found could not be stored on the target; it is tried again.');
    } finally {
      this.#storing = false;
    }
  }
}
