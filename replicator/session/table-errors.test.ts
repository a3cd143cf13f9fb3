import { pino } from 'pino';
import { expect, it } from 'vitest';
import { EventLog } from '../observe/events.ts';
import { StatusModel } from '../observe/model.ts';
import { TableErrors } from './table-errors.ts';
import { Teller } from './teller.ts';

const REFUSED = { code: 'APPLY_FAILED', message: 'refused', remedy: 'mend it' } as const;
const MISSING = { code: 'TARGET_COLUMN_MISSING', message: 'no column', remedy: 'add it' } as const;

interface Line {
  readonly code: string;
  readonly table: string;
}

function open() {
  const model = new StatusModel({ name: 'x', version: '0', now: () => 0 });
  const table = { identity: 'primary_key', state: 'streaming', rowsEstimated: 0 } as const;
  model.followed.list(['a', 'b'].map((name) => ({ source: name, target: name, ...table })));
  // Every time: events of one table and code are counted together.
  const lines: string[] = [];
  const log = pino({}, { write: (line) => lines.push(line) });
  const errors = new TableErrors({ model, teller: new Teller({ events: new EventLog({ now: () => 0 }), log }) });
  return {
    errors,
    told: () => lines.map((line) => JSON.parse(line) as Line).map((line) => `${line.code} ${line.table}`),
    problems: () => model.status().problems.map(({ code, table: of }) => `${code} ${of}`),
    state: (name: string) => model.table(name)?.state,
  };
}

it('tells the reason once, and another one in its place', () => {
  const { errors, told, problems, state } = open();
  errors.raise('a', REFUSED);
  errors.raise('a', REFUSED);
  expect(told()).toEqual(['APPLY_FAILED a']);
  errors.raise('a', MISSING);
  expect(told()).toEqual(['APPLY_FAILED a', 'TARGET_COLUMN_MISSING a']);
  expect(problems()).toEqual(['TARGET_COLUMN_MISSING a']);
  expect(state('a')).toBe('error');
  expect([errors.is('a', 'APPLY_FAILED'), errors.is('a', 'TARGET_COLUMN_MISSING')]).toEqual([false, true]);
});

it('tells that it is over of tables that were in error, also of those that are no longer followed', () => {
  const { errors, told, problems } = open();
  errors.raise('a', REFUSED);
  errors.raise('b', MISSING);
  errors.over('a');
  errors.over('a');
  errors.keepOnly(new Set(['a']));
  expect(told().slice(2)).toEqual(['TABLE_RECOVERED a', 'TABLE_RECOVERED b']);
  expect(problems()).toEqual([]);
});

it('an error that has become that of the whole session is told again when the table has it once more', () => {
  const { errors, told } = open();
  errors.raise('a', REFUSED);
  errors.forget('a');
  expect(errors.is('a', 'APPLY_FAILED')).toBe(false);
  errors.over('a');
  expect(told()).toEqual(['APPLY_FAILED a']);
  errors.raise('a', REFUSED);
  expect(told()).toEqual(['APPLY_FAILED a', 'APPLY_FAILED a']);
});
