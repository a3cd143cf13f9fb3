import { redactUrl } from '../config/source-url.ts';
import type { Config } from '../config/schema.ts';
import type { TeardownPlan } from '../teardown.ts';
import { CONFIG_OPTIONS, refusePositionals } from './args.ts';
import type { Command } from './command.ts';
import { EXIT, Failure } from './failure.ts';
import type { Io } from './io.ts';
import { loadConfigOf } from './load-config.ts';
import { printable } from './style.ts';

/** The work itself. */
export interface Teardown {
  planTeardown(config: Config): Promise<TeardownPlan>;
  executeTeardown(config: Config, plan: TeardownPlan): Promise<void>;
}

export const teardownCommand: Command = {
  usage: 'teardown [--yes] [--json] [OPTIONS]',
  options: {
    yes: { type: 'boolean', short: 'y', help: 'do not ask' },
    json: { type: 'boolean', help: 'as {"actions": […], "remains": […]}; needs --yes' },
    ...CONFIG_OPTIONS,
  },
  notes:
    'Drops the replication slot, the publication (if pgfollow made it), the event trigger and the metadata. Tables and rows stay.',
  examples: [
    ['pgfollow teardown', 'shows what it is going to drop, and asks'],
    ['pgfollow teardown --yes --json', 'for scripts'],
  ],
  async run(args, io) {
    refusePositionals('teardown', args);
    const { config } = await loadConfigOf(args, io);
    return tearDown(await import('../teardown.ts'), {
      config,
      io,
      yes: Boolean(args.values['yes']),
      json: Boolean(args.values['json']),
    });
  },
};

/** Shows the plan, asks unless told not to, carries it out, and lists what remains. */
export async function tearDown(
  teardown: Teardown,
  { config, io, yes, json = false }: { config: Config; io: Io; yes: boolean; json?: boolean },
): Promise<number> {
  if (!yes && (json || io.ask === null)) {
    throw new Failure('teardown asks before it drops anything, and nobody is here to answer.', {
      remedy: json ? 'With --json it needs --yes.' : 'Run it on a terminal, or with --yes.',
      exitCode: EXIT.usage,
    });
  }
  const plan = await teardown.planTeardown(config);
  if (json) {
    if (plan.actions.length > 0) await teardown.executeTeardown(config, plan);
    io.stdout.write(`${JSON.stringify(plan, null, 2)}\n`);
    return EXIT.done;
  }
  if (plan.actions.length === 0) {
    io.stderr.write(`Nothing of ${config.name} is left on either side.\n`);
  } else {
    for (const { where, what, sql } of plan.actions) io.stdout.write(`${where}: ${printable(what)}\n    ${printable(sql)}\n`);
    if (!yes) {
      const places = `source ${redactUrl(config.source.url)}, target ${redactUrl(config.target.url)}`;
      const answer = (await io.ask?.(`${places}\nDrop all of this? Data in the target's tables stays. [y/N] `)) ?? '';
      if (!/^y(es)?$/i.test(answer.trim())) {
        io.stderr.write('Nothing was dropped.\n');
        return EXIT.failure;
      }
    }
    await teardown.executeTeardown(config, plan);
    io.stderr.write('Done.\n');
  }
  if (plan.remains.length > 0) {
    io.stdout.write('Remains:\n');
    for (const remaining of plan.remains) io.stdout.write(`    ${printable(remaining)}\n`);
  }
  return EXIT.done;
}
