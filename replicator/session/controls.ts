import type { Config } from '../config/schema.ts';
import { markPipeline } from '../metadata/pipeline-row.ts';
import type { PipelineControls } from '../observe/status.ts';
import { Problem } from '../problem.ts';
import { on } from './blame.ts';
import type { Gate } from './gate.ts';
import type { Ends } from './ends.ts';
import type { Reporter } from './reporter.ts';
import { addTable, removeTable, resyncTable, retryTable, type FollowingSession, type Outcome } from './table-controls.ts';
import type { Validator } from './validator.ts';

export interface ControlsOptions {
  readonly config: Config;
  readonly gate: Gate;
  readonly reporter: Reporter;
  readonly validator: Validator;
  /** What a command would come down to. */
  readonly plans: Pick<PipelineControls, 'planTable' | 'planResync'>;
  /** The session under way, for what must be stored on the target; null while there is none. */
  readonly ends: () => Ends | null;
  /** What commands on tables work on; null while the stream is not followed. */
  readonly following: () => FollowingSession | null;
}

interface TableCommand {
  readonly work: (session: FollowingSession, table: string) => Promise<Outcome>;
  readonly code: string;
  /** For the event. */
  readonly done: string;
  /** What it waits for where it is still to come; null where nothing holds it up. */
  readonly note: (pipeline: { readonly paused: boolean }) => string | null;
}

const afterPause =
  (what: string): TableCommand['note'] =>
  ({ paused }) =>
    paused ? `The pipeline is paused: ${what} after \`pgfollow resume\`.` : null;

const ADD: TableCommand = { work: addTable, code: 'TABLE_ADDED', done: 'Added', note: afterPause('it is copied') };
const REMOVE: TableCommand = {
  work: removeTable,
  code: 'TABLE_REMOVED',
  done: 'Removed',
  note: () => 'It leaves once what is being done is over: a large transaction that is applied, or a lock on the source.',
};
const RESYNC: TableCommand = {
  work: resyncTable,
  code: 'TABLE_RESYNC',
  done: 'To be copied again, asked for',
  note: afterPause('it is copied'),
};
const RETRY: TableCommand = {
  work: retryTable,
  code: 'TABLE_RETRY',
  done: 'To be tried again, asked for',
  note: afterPause('it is tried'),
};

/** What people may ask of a running pipeline. Each throws NOT_POSSIBLE_NOW, or a Problem of its own, where it is not to be had. */
export function controls(options: ControlsOptions): PipelineControls {
  const { gate, reporter, validator } = options;
  // Commands on tables need the stream: without it nothing could be told from when on it holds.
  const onTable =
    ({ work, code, done, note }: TableCommand) =>
    async (table: string, by: string): Promise<string | null> => {
      const outcome = await work(whileFollowing(options), table);
      const said = outcome === 'done' ? null : note({ paused: !gate.isOpen });
      reporter.tables.commanded(table, code, `${done} by ${by}.${said === null ? '' : ` ${said}`}`);
      return said;
    };
  return {
    pause: (by) => setPaused(options, true, by),
    resume: (by) => setPaused(options, false, by),
    addTable: onTable(ADD),
    planTable: options.plans.planTable,
    planResync: options.plans.planResync,
    removeTable: onTable(REMOVE),
    resyncTable: onTable(RESYNC),
    retryTable: onTable(RETRY),
    validate: async (tables, by) => validator.request(whileRunning(options), tables, by),
    cancelValidation: async (by) => validator.cancel(by),
    bringSequences: async () => await whileFollowing(options).sequences.bringNow(),
  };
}

// A paused target shows nothing new, so nothing that is read on the source could be waited for.
function whileRunning(options: ControlsOptions): FollowingSession {
  const session = whileFollowing(options);
  if (options.gate.isOpen) return session;
  throw new Problem('NOT_POSSIBLE_NOW', 'The pipeline is paused.', { retry: 'transient', remedy: '`pgfollow resume` first.' });
}

function whileFollowing({ following }: ControlsOptions): FollowingSession {
  const session = following();
  if (session) return session;
  throw new Problem('NOT_POSSIBLE_NOW', 'The pipeline does not follow the source at the moment.', {
    retry: 'transient',
    remedy: 'Try again once `pgfollow status` says catching_up or streaming.',
  });
}

// Stored first: a pause survives a restart, and one that could not be stored has not happened.
async function setPaused({ config, gate, reporter, ends }: ControlsOptions, paused: boolean, by: string): Promise<void> {
  const target = ends()?.target;
  if (!target) {
    const message = `The pipeline cannot be ${paused ? 'paused' : 'resumed'} now: the target is not connected.`;
    const remedy = 'Try again when both databases answer; nothing is applied until then.';
    throw new Problem('TARGET_UNREACHABLE', message, { retry: 'transient', remedy });
  }
  await on('target', markPipeline(target, config.name, 'paused', paused));
  if (paused) gate.close();
  else gate.open();
  reporter.paused(paused, by);
}
