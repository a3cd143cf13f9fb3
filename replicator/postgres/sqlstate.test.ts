import { DatabaseError } from 'pg';
import { describe, expect, test } from 'vitest';
import { describeError, isOfAnotherServer, isTransient, SQLSTATE, sqlState } from './sqlstate.ts';

function serverError(code: string, more: Partial<DatabaseError> = {}): Error {
  return Object.assign(new DatabaseError('it failed', 0, 'error'), { code, severity: 'ERROR', ...more });
}

function socketError(code: string): Error {
  return Object.assign(new Error(`connect ${code}`), { code, syscall: 'connect', errno: -1 });
}

describe('what goes away by itself', () => {
  test.each([
    ['08006', 'connection_failure'],
    ['08P01', 'protocol_violation'],
    ['40001', 'serialization_failure'],
    ['40P01', 'deadlock_detected'],
    ['53100', 'disk_full'],
    ['53200', 'out_of_memory'],
    ['53300', 'too_many_connections'],
    ['55006', 'object_in_use'],
    ['55P03', 'lock_not_available'],
    ['57014', 'query_canceled'],
    ['57P01', 'admin_shutdown'],
    ['57P02', 'crash_shutdown'],
    ['57P03', 'cannot_connect_now'],
    ['25006', 'read_only_sql_transaction'],
  ])('%s %s', (code) => expect(isTransient(serverError(code))).toBe(true));

  test.each(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EHOSTUNREACH'])('socket error %s', (code) => {
    expect(isTransient(socketError(code))).toBe(true);
    expect(sqlState(socketError(code))).toBeNull();
  });

  test.each([
    'Connection terminated',
    'Connection terminated unexpectedly',
    'Client has encountered a connection error and is not queryable',
    'timeout expired',
  ])('node-postgres: %s', (message) => expect(isTransient(new Error(message))).toBe(true));
});

describe('what somebody has to mend', () => {
  test.each([
    '0A000',
    '22012',
    '22P02',
    '23502',
    '23503',
    '23505',
    '23514',
    '23P01',
    '28P01',
    '3D000',
    '42501',
    '42601',
    '42703',
    '42804',
    '42883',
    '42P01',
    '54000',
    'XX001',
  ])('%s', (code) => expect(isTransient(serverError(code))).toBe(false));

  test('a fault in the program', () => {
    expect(isTransient(new TypeError('x is not a function'))).toBe(false);
    expect(isTransient('a text')).toBe(false);
    expect(isTransient(null)).toBe(false);
  });
});

test('only what a server has sent has a SQLSTATE', () => {
  expect(sqlState(serverError('23505'))).toBe(SQLSTATE.unique_violation);
  // Five letters of upper case are an error code of Node.js too.
  expect(sqlState(Object.assign(new Error('x'), { code: 'EPIPE' }))).toBeNull();
  expect(sqlState({ code: '23505', severity: 'ERROR' })).toBeNull();
  expect(sqlState(undefined)).toBeNull();
});

test('an error in one line', () => {
  expect(describeError(serverError('23505', { detail: 'Key (id)=(1) already exists.', hint: 'Do not.' }))).toBe(
    'it failed Key (id)=(1) already exists. Do not. (SQLSTATE 23505)',
  );
  expect(describeError(socketError('ECONNREFUSED'))).toBe('connect ECONNREFUSED');
  // What connecting to several addresses throws has no message of its own.
  expect(describeError(Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }))).toBe('ECONNREFUSED');
  expect(describeError('text')).toBe('text');
});

test('a server that does not reach another one is told from one that is not reached', () => {
  expect(isOfAnotherServer(serverError('08001', { routine: 'connect_pg_server' }))).toBe(true);
  expect(isOfAnotherServer(serverError('08006'))).toBe(false);
  expect(isOfAnotherServer(serverError('57P01', { routine: 'ProcessInterrupts' }))).toBe(false);
  expect(isOfAnotherServer(socketError('ECONNREFUSED'))).toBe(false);
});
