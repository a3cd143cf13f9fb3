import { DatabaseError } from 'pg';
import { expect, test } from 'vitest';
import { blame } from './blame.ts';

function serverError(message: string, code: string): Error {
  return Object.assign(new DatabaseError(message, 0, 'error'), { code, severity: 'ERROR' });
}

test('a fault within PostgreSQL is not put down to the rights of a role', () => {
  const fault = blame('source', serverError('could not map filenumber "base/5/16555" to relation OID', 'XX000'));
  expect(fault).toMatchObject({ code: 'SOURCE_UNSUITABLE', retry: 'transient' });
  expect(fault.remedy).toMatch(/^That is a fault within PostgreSQL: the log of the source tells more/);
  const refusal = blame('target', serverError('permission denied for table t', '42501'));
  expect(refusal.remedy).toMatch(/^Give the role of target\.url what the message names/);
});
