import { describe, expect, it } from 'vitest';
import { waiting } from '../observe/validation.ts';
import { renderProgress } from './progress-view.ts';
import { renderStatus } from './status-view.ts';
import { align, formatBytes, formatCount, printable, wantsColor, wrap } from './style.ts';
import { renderTables } from './tables-view.ts';
import { sampleProblem, sampleStatus, sampleTable } from '../testing/cli-io.ts';

const NOW = Date.parse('2026-01-02T04:04:05.000Z');

describe('status', () => {
  it('fits one screen', () => {
    expect(renderStatus(sampleStatus({}, { error: 1 }), { color: false, now: NOW }).split('\n')).toEqual([
      'shop  streaming for 1 h  pgfollow 1.0.0',
      'Streaming. pg_y is 0.2 s behind pg_x.',
      '',
      'source    PostgreSQL 18.4, database pg_x, connected',
      'target    PostgreSQL 17.9, database pg_y, connected',
      'slot      shop, active, reserved, keeps 1.5 kB of WAL',
      'position  applied 0/1A2B3C8, received 0/1A2B3C8, acknowledged 0/1A2B380, source at 0/1A2B3C8',
      'lag       0.2 s, 0 B',
      'rate      0 rows/s, 0 transactions/s',
      'applied   insert 1 234 567, update 2, delete 3, truncate 0 in 1 transaction',
      'tables    3: 3 streaming, 1 error',
    ]);
  });

  it('shows problems with what to do, and what is not known as such', () => {
    const text = renderStatus(
      sampleStatus({
        state: 'failed',
        source: { connected: false, serverVersion: null, database: null, walEnd: null },
        slot: null,
        position: { received: null, applied: null, acknowledged: null },
        lag: { seconds: null, bytes: null },
        problems: [sampleProblem({ message: 'Gone.\nFor good.', table: 'public.a' })],
      }),
      { color: false, now: NOW },
    );
    expect(text).toContain('source    NOT CONNECTED\n');
    expect(text).toContain('slot      none yet\n');
    expect(text).toContain('lag       not known\n');
    expect(text).toContain('applied -, received -');
    expect(text.endsWith('Problems\nSLOT_LOST public.a  since 2026-01-02T04:00:00Z\n  Gone.\n  For good.\n  Copy again.')).toBe(
      true,
    );
  });

  it('colours the state, and nothing that came from a server can', () => {
    const status = sampleStatus({ state: 'failed', summary: 'Bad \u001b[2J\u009b2J' });
    const plain = renderStatus(status, { color: false, now: NOW });
    for (const escape of ['\u001b', '\u009b']) expect(plain).not.toContain(escape);
    expect(renderStatus(status, { color: true, now: NOW })).toContain('\u001b[31mfailed\u001b[39m');
  });
});

describe('tables', () => {
  it('are aligned, one line each, with lag or spool and what is wrong', () => {
    const lines = renderTables(
      [
        sampleTable({ applied: { insert: 1000, update: 200, delete: 30, truncate: 4 } }),
        sampleTable({ source: 'public.b', target: 'x.b', state: 'catching_up', spooledBytes: 2048 }),
        sampleTable({
          source: 'public.c',
          target: 'public.c',
          state: 'error',
          error: { code: 'COPY_FAILED', message: 'two\nlines', remedy: 'Mend it.' },
        }),
        sampleTable({
          source: 'public.d',
          target: 'public.d',
          conflicts: { insertExists: 1, updateMissing: 0, deleteMissing: 2 },
          validation: { ...waiting(), state: 'different', missing: 3, extra: 1, equalAt: null },
        }),
      ],
      { lagSeconds: 0.2, heading: true, color: false },
    );
    expect(lines).toEqual([
      'TABLE            STATE        COPIED  APPLIED             LAG  ERROR',
      'public.orders    streaming        10    1 234           0.2 s',
      'public.b -> x.b  catching_up      10        1  2.0 kB spooled',
      'public.c         error            10        1               -  COPY_FAILED: two lines Mend it.',
      'public.d         streaming        10        1           0.2 s  rows differ 4, insertExists 1, deleteMissing 2',
    ]);
  });

  it('have a lag only when it is known, and a heading only when asked for', () => {
    expect(renderTables([sampleTable()], { lagSeconds: null, heading: false, color: false })).toEqual([
      'public.orders  streaming  10  1  -',
    ]);
  });
});

describe('progress', () => {
  const copying = (rowsCopied: number, rowsEstimated: number | null, startedAt: string | null = null) =>
    sampleTable({ state: 'copying', snapshot: { rowsCopied, rowsEstimated, bytesCopied: 2048, startedAt, finishedAt: null } });

  it.each([
    [
      'half way, with a forecast',
      copying(500, 1000, '2026-01-02T04:03:55.000Z'),
      /\[############------------\] {2}50 % {2}500 rows, 2\.0 kB, 10 s left$/,
    ],
    ['too early for a forecast', copying(500, 1000, '2026-01-02T04:04:03.000Z'), /50 % {2}500 rows, 2\.0 kB$/],
    ['never 100 % before it is done', copying(1000, 1000), /99 %/],
    ['more rows than estimated', copying(1001, 1000), /\[\.{24}\] {4}1 001 rows, 2\.0 kB$/],
    ['no estimate', copying(7, null), /\[\.{24}\] {4}7 rows/],
    ['an estimate of nothing', copying(0, 0), /\[\.{24}\] {4}0 rows/],
    ['building indexes', sampleTable({ state: 'indexing' }), /building indexes, 10 rows copied$/],
  ])('%s', (_, table, expected) => {
    const lines = renderProgress(sampleStatus({ state: 'copying' }), [table], { color: false, now: NOW, columns: 80 });
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatch(expected);
  });

  it('shows a few tables and counts the rest, leaves out those that are done', () => {
    const tables = [sampleTable(), ...Array.from({ length: 7 }, () => copying(1, 10))];
    const lines = renderProgress(sampleStatus(), tables, { color: false, now: NOW, columns: 80 });
    expect(lines).toHaveLength(7);
    expect(lines.at(-1)).toBe('  and 2 more');
  });

  it('shows the first problem below the verdict', () => {
    const problem = sampleProblem({ message: 'Gone.' });
    expect(renderProgress(sampleStatus({ problems: [problem] }), [], { color: false, now: NOW, columns: 80 })).toEqual([
      '! Streaming. pg_y is 0.2 s behind pg_x.',
      '  Gone.',
      '  Copy again.',
    ]);
  });
});

describe('style', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 kB'],
    [123_456_789, '118 MB'],
    [5e9, '4.7 GB'],
  ])('%i bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    [0, '0'],
    [999, '999'],
    [1000, '1 000'],
    [1234567, '1 234 567'],
  ])('%i is %s', (count, text) => expect(formatCount(count)).toBe(text));

  it('aligns by characters', () => {
    expect(
      align(
        [
          ['a', '10', 'x'],
          ['ž🙂é', '5', ''],
        ],
        [1],
      ),
    ).toEqual(['a    10  x', 'ž🙂é   5']);
  });

  it('wraps at blanks, and never inside a word', () => {
    expect(wrap('one two three\nfour', 8)).toEqual(['one two', 'three', 'four']);
    expect(wrap('incomprehensible it is', 5)).toEqual(['incomprehensible', 'it is']);
  });

  it('keeps line feeds and tabs, but no other control character', () => {
    expect(printable('a\tb\nc\rd\u0007\u001b[1m\u007f\u009bä\u00a0')).toBe(
      'a\tb\nc\u{fffd}d\u{fffd}\u{fffd}[1m\u{fffd}\u{fffd}ä\u00a0',
    );
  });

  it.each<[tty: boolean, env: Record<string, string>, noColor: boolean, expected: boolean]>([
    [true, {}, false, true],
    [false, {}, false, false],
    [true, { NO_COLOR: '1' }, false, false],
    [true, { NO_COLOR: '' }, false, true],
    [true, { TERM: 'dumb' }, false, false],
    [true, {}, true, false],
  ])('a terminal: %s, %j, --no-color: %s', (isTTY, env, noColor, expected) => {
    expect(wantsColor({ isTTY, write: () => {} }, env, noColor)).toBe(expected);
  });
});
