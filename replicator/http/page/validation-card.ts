import type { TableStatus } from '../../observe/status.ts';
import { mismatches, type Validations } from '../../observe/validation.ts';
import { ago, clock, count } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { actionForm } from './pieces.ts';
import type { PageView } from './view.ts';

const OUTCOMES = {
  equal: 'both sides are equal',
  different: 'rows differ',
  unsettled: 'no row differs; some changed too often to tell',
  failed: 'could not be compared',
  cancelled: 'was cancelled',
  waiting: 'waits for its turn',
  running: 'is under way',
} as const;
const KINDS = { missing: 'missing on the target', extra: 'only on the target', different: 'different' } as const;

/** The comparison of both sides of a table: what the last one found, the one under way, and the button that begins one. */
export function validationFacts(
  { validations, nowMs }: PageView,
  table: Readonly<TableStatus>,
): (readonly [term: string, value: Html | string])[] {
  const now = under(validations, table.source);
  const last = table.validation;
  const shown = now ?? last;
  const at = last?.finishedAt ?? null;
  const failed = validations.tables.find((each) => each.table === table.source && each.state === 'failed');
  return [
    [
      'Last',
      at === null ? 'never' : html`<time datetime="${at}">${ago(at, nowMs)}</time>, ${OUTCOMES[last?.state ?? 'waiting']}`,
    ],
    ...(now
      ? [['Now', OUTCOMES[now.state]] as const]
      : failed
        ? [['Tried again', failed.reason ?? OUTCOMES.failed] as const]
        : []),
    ['Rows compared', shown ? count(shown.rows) : '–'],
    ['Missing on the target', shown ? count(shown.missing) : '–'],
    ['Only on the target', shown ? count(shown.extra) : '–'],
    ['Different', shown ? count(shown.different) : '–'],
    ['Found equal', last?.equalAt ? `${clock(last.equalAt, nowMs)} UTC` : '–'],
  ];
}

/** Keys of rows that differ. */
export function validationExamples({ validation }: Readonly<TableStatus>): Html | null {
  if (!validation || mismatches(validation) === 0) return null;
  return html`<ul class="examples">
    ${validation.examples.map(({ kind, key }) => html`<li><code>${key}</code> ${KINDS[kind]}</li>`)}
  </ul>`;
}

/** Begins a comparison of the table, or ends the one that it is part of. */
export function validationButton(view: PageView, { source, state }: Readonly<TableStatus>): Html | null {
  if (under(view.validations, source))
    return actionForm(view, { action: 'cancel-validation', label: 'Cancel validation', look: 'plain' });
  return state === 'streaming' ? actionForm(view, { action: 'validate', label: 'Validate', look: 'plain', table: source }) : null;
}

function under({ running, tables }: Validations, source: string) {
  return running ? tables.find(({ table, finishedAt }) => table === source && finishedAt === null) : undefined;
}
