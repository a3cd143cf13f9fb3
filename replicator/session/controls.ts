import type { Config } from '../config/schema.ts';
import { markPipeline } from '../metadata/pipeline-row.ts';
import type { PipelineControls } from '../observe/status.ts';
import { Problem } from '../problem.ts';
import { on } from './blame.ts';
import type { Gate } from './gate.ts';
import type { Ends } from './ends.ts';
import type { Reporter } from './reporter.ts';
import { addTable, removeTable, resyncTable, retryTable, type FollowingSession } from './table-controls.ts';
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

/** What people may ask of a running pipeline. Each throws NOT_POSSIBLE_NOW, or a Problem of its own, where it is not to be had. */
export function controls(options: ControlsOptions): PipelineControls {
  const { reporter, validator } = options;
  // Commands on tables need the stream: without it nothing could be told from when on it holds.
  const onTable =
    (work: (session: FollowingSession, table: string) => Promise<void>, code: string, done: string) =>
    async (table: string, by: string): Promise<void> => {
      await work(whileFollowing(options), table);
      reporter.tables.commanded(table, code, `${done} by ${by}.`);
    };
  return {
    pause: (by) => setPaused(options, true, by),
    resume: (by) => setPaused(options, false, by),
    addTable: onTable(addTable, 'TABLE_ADDED', 'Added'),
    planTable: options.plans.planTable,
    planResync: options.plans.planResync,
    removeTable: onTable(removeTable, 'TABLE_REMOVED', 'Removed'),
    resyncTable: onTable(resyncTable, 'TABLE_RESYNC', 'To be copied again, asked for'),
    retryTable: onTable(retryTable, 'TABLE_RETRY', 'To be tried again, asked for'),
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
