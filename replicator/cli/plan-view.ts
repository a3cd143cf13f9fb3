import type { TablePlan } from '../table-plan.ts';
import { renderFindings } from './doctor-view.ts';
import { printable } from './style.ts';

/** What adding a table would come down to, a line each: the steps, then what should be known, with what mends it. */
export function planView({ steps, findings }: TablePlan): string {
  const found = renderFindings(findings, { color: false, columns: null });
  return [...steps.map((step) => `- ${printable(step)}`), ...found].map((line) => `${line}\n`).join('');
}
