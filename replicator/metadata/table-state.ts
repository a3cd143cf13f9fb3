import { Problem, unreachable, type ProblemCode } from '../problem.ts';

/**
 * A followed table's life. Each variant carries only its own data.
 *
 *   pending ──copy──> copying ──copied──────────────────> catching_up ──caught up──> streaming
 *      ^                 │ └───copied bare──> indexing ──indexed──^ │                    │
 *      │                 └──────── failed ───────┴────── failed ────┴───── failed ───────┤
 *      │                                                                                 v
 *      └─────────────────────────────── copy again ──────────────────────────────────  error
 *
 * A table that pgfollow has created is copied bare: its indexes come after its rows.
 * `mended` leads from error back to catching_up, where the rows are there and the changes since were kept; `index again`
 * back to indexing, where the rows are there and an index was refused.
 */
export type TableProgress =
  | { readonly state: 'pending' }
  | { readonly state: 'copying' }
  | { readonly state: 'indexing' }
  | { readonly state: 'catching_up' }
  | { readonly state: 'streaming' }
  | { readonly state: 'error'; readonly code: ProblemCode; readonly message: string; readonly remedy: string };

export type TableStateName = TableProgress['state'];

export type TableEvent =
  | { readonly type: 'copy started' }
  | { readonly type: 'copied' }
  | { readonly type: 'copied bare' }
  | { readonly type: 'indexed' }
  | { readonly type: 'index again' }
  | { readonly type: 'caught up' }
  | { readonly type: 'copy again' }
  | { readonly type: 'mended' }
  | { readonly type: 'failed'; readonly problem: Problem };

/** The only way a table changes its state. Throws INTERNAL on a transition that the drawing does not have. */
export function nextProgress(from: TableProgress, event: TableEvent): TableProgress {
  switch (event.type) {
    case 'copy started':
      return allow(from, event, ['pending'], { state: 'copying' });
    case 'copied':
      return allow(from, event, ['copying'], { state: 'catching_up' });
    case 'copied bare':
      return allow(from, event, ['copying'], { state: 'indexing' });
    case 'index again':
      return allow(from, event, ['error'], { state: 'indexing' });
    case 'indexed':
      return allow(from, event, ['indexing'], { state: 'catching_up' });
    case 'caught up':
      return allow(from, event, ['catching_up', 'streaming'], { state: 'streaming' });
    case 'mended':
      return allow(from, event, ['error'], { state: 'catching_up' });
    case 'copy again':
      return { state: 'pending' };
    case 'failed': {
      const { code, message, remedy } = event.problem;
      return { state: 'error', code, message, remedy };
    }
    default:
      return unreachable(event);
  }
}

/** Whether changes of the stream are applied to a table in this state. */
export function takesChanges(state: TableStateName): boolean {
  return state === 'catching_up' || state === 'streaming';
}

function allow(from: TableProgress, event: TableEvent, states: readonly TableStateName[], to: TableProgress): TableProgress {
  if (states.includes(from.state)) return to;
  throw new Problem('INTERNAL', `a table in state ${from.state} cannot take "${event.type}"`, { remedy: 'Please report this.' });
}
