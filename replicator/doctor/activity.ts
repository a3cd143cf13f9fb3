import { complaint, fine, type Finding } from '../finding.ts';
import { quoteLiteral } from '../postgres/quote.ts';
import type { OlderTransaction } from '../source/create-slot.ts';

/** With a slot in place an open transaction only keeps WAL; before that the creation of the slot waits for it. Seconds. */
const LONG_S = 15 * 60;
const LONG_BEFORE_SLOT_S = 10;

/** Pure: transactions of the source that hold up the slot, the oldest first. */
export function classifyTransactions(
  transactions: readonly OlderTransaction[],
  { slotExists }: { slotExists: boolean },
): Finding[] {
  const limit = slotExists ? LONG_S : LONG_BEFORE_SLOT_S;
  const old = transactions.filter(({ ageSeconds }) => (ageSeconds ?? 0) > limit);
  const open = old.filter(({ preparedAs }) => preparedAs === null);
  const prepared = old.filter(({ preparedAs }) => preparedAs !== null);
  const harm = slotExists ? 'the source keeps all WAL since then' : 'creating the slot waits for it';
  return [
    open.length > 0 ? longTransaction(open, harm) : NO_LONG,
    prepared.length > 0 ? preparedLong(prepared, harm) : NO_PREPARED,
  ];
}

const NO_LONG = fine('source', 'LONG_TRANSACTION', 'No transaction of the source has been open for long.');
const NO_PREPARED = fine('source', 'PREPARED_TRANSACTION', 'No prepared transaction of the source waits.');

function longTransaction(open: readonly OlderTransaction[], harm: string): Finding {
  const [oldest] = open;
  const others = open.length > 1 ? ` (and ${open.length - 1} more)` : '';
  return complaint('warning', 'source', 'LONG_TRANSACTION', {
    message: `A transaction of pid ${oldest?.pid} in database ${oldest?.database} has been open for ${age(oldest)}${others}: ${harm}.`,
    remedy: `Let it finish, or end it: SELECT pg_terminate_backend(${oldest?.pid});`,
  });
}

function preparedLong(prepared: readonly OlderTransaction[], harm: string): Finding {
  const [oldest] = prepared;
  const others = prepared.length > 1 ? ` (and ${prepared.length - 1} more)` : '';
  const name = quoteLiteral(oldest?.preparedAs ?? '');
  return complaint('warning', 'source', 'PREPARED_TRANSACTION', {
    message: `The prepared transaction ${name} in database ${oldest?.database} has waited for ${age(oldest)}${others}: ${harm}.`,
    remedy: `In that database: COMMIT PREPARED ${name}; or ROLLBACK PREPARED ${name};`,
  });
}

function age(transaction: OlderTransaction | undefined): string {
  const seconds = Math.round(transaction?.ageSeconds ?? 0);
  return seconds < 120 ? `${seconds} s` : seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
