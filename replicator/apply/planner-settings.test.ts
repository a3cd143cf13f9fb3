import { expect, test } from 'vitest';
import { PlannerSettings } from './planner-settings.ts';

function scene() {
  const told: string[] = [];
  const pipe = { run: (sql: string): void => void told.push(sql) };
  return { told, pipe, planner: new PlannerSettings() };
}

test('what the session begins with is not said; anything else once', () => {
  const { told, pipe, planner } = scene();
  planner.begin();
  planner.prefer(pipe, 'key');
  expect(told).toEqual([]);
  planner.prefer(pipe, 'hash');
  planner.prefer(pipe, 'hash');
  planner.prefer(pipe, 'key');
  expect(told).toHaveLength(2);
  expect(told[0]).toContain(`set_config('enable_nestloop', 'off', true)`);
  expect(told[0]).toContain(`set_config('enable_hashjoin', 'on', true)`);
});

test('what was set goes with the transaction, and with a part of it that is undone', () => {
  const { told, pipe, planner } = scene();
  planner.prefer(pipe, 'range');
  planner.begin();
  planner.prefer(pipe, 'range');
  expect(told).toHaveLength(2);
  planner.partUndone();
  planner.prefer(pipe, 'key');
  planner.prefer(pipe, 'key');
  expect(told).toHaveLength(3);
});
