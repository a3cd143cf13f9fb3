import type { RelationName } from '../catalog/relation.ts';

/** Where an object is found on the target: what pg_get_object_address() takes. */
interface Address {
  readonly type: string;
  readonly names: readonly string[];
  readonly args: readonly string[];
}

/** One thing that is made on the target before the rows, unless it is there. */
export interface Piece {
  readonly id: string;
  /** For people: `type shop.mood`. */
  readonly label: string;
  /** What must be there before, by id. */
  readonly needs: readonly string[];
  readonly address: Address;
  /** Statements; null for what pgfollow does not make, so that somebody else must have. */
  readonly sql: readonly string[] | null;
  /** Of such: the commands that bring it. */
  readonly bring?: string;
  /** The followed table that it is, on source and target. */
  readonly table: { readonly source: RelationName; readonly target: RelationName } | null;
}

/**
 * The pieces in an order in which each comes behind what it needs. Where they need each other in a circle, PostgreSQL
 * has to say whether it can be done: the circle is entered somewhere.
 */
export function inOrder(pieces: readonly Piece[]): Piece[] {
  const byId = new Map(pieces.map((piece) => [piece.id, piece]));
  const ordered: Piece[] = [];
  const seen = new Set<string>();
  // An own stack, since chains can be as long as there are tables.
  for (const first of pieces) {
    const stack = [{ piece: first, entered: false }];
    for (let top = stack.pop(); top; top = stack.pop()) {
      if (top.entered) {
        ordered.push(top.piece);
        continue;
      }
      if (seen.has(top.piece.id)) continue;
      seen.add(top.piece.id);
      stack.push({ piece: top.piece, entered: true });
      for (const id of [...top.piece.needs].reverse()) {
        const piece = byId.get(id);
        if (piece && !seen.has(id)) stack.push({ piece, entered: false });
      }
    }
  }
  return ordered;
}
