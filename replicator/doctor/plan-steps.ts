import type { Config } from '../config/schema.ts';
import type { TablePlan } from '../table-plan.ts';

const COUNT = new Intl.NumberFormat('en-US');

/** Pure: what would happen if a table were added, a sentence each, in its order. `ours`: the target holds rows of an earlier copy. */
export function addSteps(
  plan: Omit<TablePlan, 'steps'>,
  { snapshot, schema }: Pick<Config, 'snapshot' | 'schema'>,
  ours: boolean,
): string[] {
  const { table, target, targetExists } = plan;
  const steps = [`${table} is put into the publication on the source.`];
  for (const statement of plan.sourceStatements)
    steps.push(`On the source is run, so that UPDATE and DELETE can be followed: ${statement}`);
  if (targetExists) steps.push(`It goes to ${target}, which is there on the target.`);
  else if (schema.create === 'never')
    steps.push(`It waits for ${target}, which is not there and not created (schema.create: never).`);
  else steps.push(`On the target are created: ${plan.creates.join(', ')}; its indexes and constraints once its rows are there.`);
  if (ours && snapshot.existingRows !== 'keep') steps.push(...replaced(plan));
  else if (snapshot.copy) steps.push(copied(plan, ours ? 'error' : snapshot.existingRows));
  else steps.push('No rows are copied (snapshot.copy: false): only what changes from now on reaches the target.');
  return [...steps, 'Then its changes go with those of the other tables, which go on meanwhile.'];
}

/** Pure: what would happen if a table were copied again. */
export function resyncSteps(plan: Omit<TablePlan, 'steps'>): string[] {
  const { target, targetExists, targetHasRows, creates } = plan;
  const going = 'The other tables go on meanwhile.';
  if (!targetExists) return [`On the target are created: ${creates.join(', ')}.`, `${read(plan)}.`, going];
  if (!targetHasRows) return [`${read(plan)} into ${target}.`, going];
  return [...replaced(plan), `Readers see the old rows until then, and nobody is locked out. ${going}`];
}

function replaced(plan: Omit<TablePlan, 'steps'>): string[] {
  const { target } = plan;
  return [
    `${read(plan)}, beside ${target}: the target needs room for them once more.`,
    `Then one transaction makes ${target} equal: rows that only the target has are deleted, those that differ updated, those that are missing inserted; the rest stays as it is.`,
  ];
}

function copied(plan: Omit<TablePlan, 'steps'>, existingRows: Config['snapshot']['existingRows']): string {
  const { target, targetHasRows } = plan;
  const said = read(plan);
  if (!targetHasRows) return `${said}.`;
  if (existingRows === 'truncate') return `${said}; they replace those that ${target} holds (snapshot.existingRows: truncate).`;
  if (existingRows === 'keep') return `${said}; those that ${target} holds stay beside them (snapshot.existingRows: keep).`;
  return `Nothing is copied while ${target} holds rows.`;
}

function read({ rows, bytes }: Omit<TablePlan, 'steps'>): string {
  const mb = bytes / 1024 / 1024;
  const size = mb < 1 ? `${Math.ceil(bytes / 1024)} kB` : `${mb.toFixed(mb < 10 ? 1 : 0)} MB`;
  if (rows === null) return `Its rows are copied (${size}, never analyzed, so their number is not known)`;
  return `About ${COUNT.format(rows)} rows are copied (${size})`;
}
