import { expect, it } from 'vitest';
import { configSchema } from '../config/schema.ts';
import { main } from './main.ts';
import type { TeardownPlan } from '../teardown.ts';
import { tearDown } from './teardown.ts';
import { testIo } from '../testing/cli-io.ts';

const URLS = { PGFOLLOW_SOURCE_URL: 'postgresql://app:hunter2@x/shop', PGFOLLOW_TARGET_URL: 'postgresql://app:hunter2@y/shop' };
const CONFIG = configSchema.parse({ source: { url: URLS.PGFOLLOW_SOURCE_URL }, target: { url: URLS.PGFOLLOW_TARGET_URL } });
const PLAN: TeardownPlan = {
  actions: [
    { where: 'source', kind: 'slot', what: 'replication slot pgfollow', sql: "SELECT pg_drop_replication_slot('pgfollow')" },
    { where: 'target', kind: 'schema', what: 'schema pgfollow', sql: 'DROP SCHEMA pgfollow CASCADE' },
  ],
  remains: ['REPLICA IDENTITY FULL of public.tb_trx_src'],
};

function work(plan: TeardownPlan = PLAN) {
  const executed: TeardownPlan[] = [];
  return {
    executed,
    planTeardown: async () => plan,
    executeTeardown: async (_: unknown, done: TeardownPlan) => void executed.push(done),
  };
}

it('shows the plan, does it after a yes, and lists what remains', async () => {
  const io = testIo({ answer: 'y' });
  const teardown = work();
  expect(await tearDown(teardown, { config: CONFIG, io, yes: false })).toBe(0);
  expect(teardown.executed).toEqual([PLAN]);
  expect(io.out()).toContain('source: replication slot pgfollow\n    SELECT pg_drop');
  expect(io.out()).toContain('Remains:\n    REPLICA IDENTITY FULL of public.tb_trx_src\n');
  expect(io.err()).toContain('Drop all of this?');
  expect(io.err()).not.toContain('hunter2');
});

it('--json is for scripts: it needs --yes, and gives what was done', async () => {
  const io = testIo({ answer: 'y' });
  const teardown = work();
  await expect(tearDown(teardown, { config: CONFIG, io, yes: false, json: true })).rejects.toThrow(/asks before/);
  expect(teardown.executed).toEqual([]);
  expect(await tearDown(teardown, { config: CONFIG, io, yes: true, json: true })).toBe(0);
  expect(teardown.executed).toEqual([PLAN]);
  expect(JSON.parse(io.out())).toEqual(PLAN);
});

it.each(['n', '', 'yesterday'])('drops nothing after %j', async (answer) => {
  const io = testIo({ answer });
  const teardown = work();
  expect(await tearDown(teardown, { config: CONFIG, io, yes: false })).toBe(1);
  expect(teardown.executed).toEqual([]);
  expect(io.err()).toContain('Nothing was dropped.');
});

it('does not ask with --yes', async () => {
  const io = testIo();
  const teardown = work();
  expect(await tearDown(teardown, { config: CONFIG, io, yes: true })).toBe(0);
  expect(teardown.executed).toEqual([PLAN]);
  expect(io.err()).not.toContain('Drop all of this?');
});

it('without a terminal and without --yes is a usage error, before anything is asked of a database', async () => {
  const io = testIo({ env: URLS });
  expect(await main(['teardown'], io)).toBe(2);
  expect(io.err()).toContain('--yes');
});

it('has nothing to do where nothing is left', async () => {
  const io = testIo({ answer: 'y' });
  const teardown = work({ actions: [], remains: [] });
  expect(await tearDown(teardown, { config: CONFIG, io, yes: false })).toBe(0);
  expect(teardown.executed).toEqual([]);
  expect(io.err()).toBe('Nothing of pgfollow is left on either side.\n');
});
