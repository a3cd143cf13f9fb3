import { isDeepStrictEqual } from 'node:util';
import type { Oid } from '../postgres/oid.ts';
import { invalidStream } from './invalid-stream.ts';
import type { StreamRelation } from './messages.ts';

/** The relations that a stream has described, each as it was described last. */
export class DescribedRelations {
  readonly #relations = new Map<Oid, StreamRelation>();
  readonly #like: DescribedRelations | null;
  /** Most rows are of the relation that the row before was of. */
  #last: StreamRelation | undefined;

  /** Relations that are described as `like` knows them are the same objects. */
  constructor(like: DescribedRelations | null) {
    this.#like = like;
  }

  get(oid: Oid): StreamRelation | undefined {
    return this.#relations.get(oid);
  }

  /** Of a row that came. Throws STREAM_INVALID when its relation was never described. */
  known(oid: Oid): StreamRelation {
    if (this.#last?.oid === oid) return this.#last;
    const relation = this.#relations.get(oid);
    if (!relation) throw invalidStream(`relation ${oid} was never described`);
    return (this.#last = relation);
  }

  /**
   * The source describes a relation again after whatever touched its cache (TRUNCATE, ANALYZE): as long as nothing changed
   * it stays the same object, because what is derived from it is kept by that.
   */
  describe(described: StreamRelation): void {
    const { oid } = described;
    const before = this.#relations.get(oid) ?? this.#like?.get(oid);
    this.#relations.set(oid, before && isDeepStrictEqual(before, described) ? before : described);
    this.#last = undefined;
  }
}
