import { DatabaseError } from 'pg';
import { expect, test } from 'vitest';
import { buildMapping, buildRelation } from '../testing/build-relation.ts';
import { copyProblem } from './copy-problem.ts';

const task = { mapping: buildMapping('t'), source: buildRelation('t') };

function serverError(message: string, code: string): Error {
  return Object.assign(new DatabaseError(message, 0, 'error'), { code, severity: 'ERROR' });
}

test.for(['42P01', '42703'])('what is gone by its name (%s) may be so on either side, and be over by itself', (code) => {
  const { remedy } = copyProblem(task, serverError('it does not exist', code));
  expect(remedy).toMatch(/^Nothing where it was renamed, dropped or altered on either side just now/);
});

test('what the target does not take is to be mended there', () => {
  const { remedy } = copyProblem(task, serverError('it is too long', '22001'));
  expect(remedy).toMatch(/^Make "public"."t" on the target accept the rows/);
});
