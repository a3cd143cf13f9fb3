import type { SequenceFault, SequencesBrought, Status } from '../observe/status.ts';
import { connect, disconnect } from '../postgres/connect.ts';
import { formatLsn, parseLsn, tryParseLsn, type Lsn } from '../postgres/lsn.ts';
import { apiClient, Refused, Unreachable, type ApiClient } from './api.ts';
import { API_OPTIONS, CONFIG_OPTIONS, refusePositionals, textOf, type Arguments } from './args.ts';
import type { Command } from './command.ts';
import { EXIT, Failure, UsageError } from './failure.ts';
import { sleep, type Io } from './io.ts';
import { printable } from './style.ts';
import { waitVerdict } from './wait-verdict.ts';

const POLL_MS = 100;
const DEFAULT_TIMEOUT_S = 60;
/** So long may pgfollow itself be away, starting or restarting, before we say that it is not there. */
const PATIENCE_MS = 10_000;

export const waitCommand: Command = {
  usage: 'wait [--lsn X/Y] [--timeout SECONDS] [--strict] [--json] [OPTIONS]',
  options: {
    lsn: { type: 'string', takes: 'X/Y', help: 'wait for this position instead of asking the source where it is now' },
    timeout: { type: 'string', takes: 'SECONDS', help: `give up after so long, exit code 4 (default ${DEFAULT_TIMEOUT_S})` },
    strict: { type: 'boolean', help: 'exit code 1 where a sequence cannot be set; without, that is only said' },
    json: { type: 'boolean', help: 'as {"lsn", "seconds", "sequenceFaults": [{table, message, remedy}]} once it is there' },
    ...API_OPTIONS,
    ...sourceOption(),
  },
  notes:
    'Without --lsn it asks the source (source.url) for its position, so it needs the configuration that `pgfollow run` has.\n' +
    'Then sequences are brought as far as those of the source. One that cannot be set is named on stderr with what mends it; the rows are there.',
  examples: [
    ['pgfollow wait && psql "$TARGET" -f report.sql', 'a report that needs everything up to now'],
    ['pgfollow wait --strict', 'before the target takes over: its sequences, too'],
    ['pgfollow wait --lsn 16/B374D848 --timeout 300', 'a position that something else noted'],
  ],
  async run(args, io) {
    refusePositionals('wait', args);
    const timeoutMs = readTimeout(args);
    const lsn = readLsn(args);
    const { api, config } = await apiClient('wait', args, io);
    if (lsn === null && config.sourceUrl === null) {
      throw new UsageError(
        'wait: it is not known which source to ask; set PGFOLLOW_SOURCE_URL or source.url, or give --lsn X/Y',
        'wait',
      );
    }
    const started = performance.now();
    const deadline = started + timeoutMs;
    const wanted = lsn ?? (await sourcePosition(config.sourceUrl ?? ''));
    await waitFor(api, wanted, { deadline, timeoutMs });
    // A position of the past says nothing of sequences as they are now: then it is enough to have tried.
    const strict = Boolean(args.values['strict']);
    const limits = { deadline: lsn === null || strict ? deadline : 0, timeoutMs };
    const sequenceFaults = await bringSequences(api, io, limits).catch((error: unknown) => {
      if (lsn === null || strict || !(error instanceof Failure)) throw error;
      io.stderr.write(`pgfollow: ${error.message}\n`);
      return [];
    });
    const seconds = Math.round(performance.now() - started) / 1000;
    if (args.values['json']) io.stdout.write(`${JSON.stringify({ lsn: formatLsn(wanted), seconds, sequenceFaults })}\n`);
    return strict && sequenceFaults.length > 0 ? EXIT.failure : EXIT.done;
  },
};

/** Polls until the target shows everything up to `wanted`. Throws Failure with exit code 4 at the deadline. */
async function waitFor(api: ApiClient, wanted: Lsn, limits: { deadline: number; timeoutMs: number }): Promise<void> {
  let answeredAt = performance.now();
  for (;;) {
    const verdict = await api
      .get<Status>('/api/v1/status')
      .then((status) => {
        answeredAt = performance.now();
        return waitVerdict(status, wanted);
      })
      .catch((error: unknown) => {
        const patienceEnds = Math.min(answeredAt + PATIENCE_MS, limits.deadline);
        if (error instanceof Unreachable && performance.now() < patienceEnds) return null;
        throw error;
      });
    if (verdict?.done) return;
    if (performance.now() + POLL_MS > limits.deadline && verdict) {
      throw new Failure(`not everything is on the target after ${limits.timeoutMs / 1000} s: ${printable(verdict.missing)}.`, {
        remedy: '`pgfollow status` and `pgfollow tables` show what holds it up; --timeout SECONDS waits longer.',
        exitCode: EXIT.timeout,
      });
    }
    await sleep(POLL_MS);
  }
}

// Rows are there; the sequences that they take values from are not in the stream, so they are asked for. Those that cannot be
// set are said and given back.
async function bringSequences(
  api: ApiClient,
  io: Io,
  limits: { deadline: number; timeoutMs: number },
): Promise<readonly SequenceFault[]> {
  for (;;) {
    try {
      const { faults } = (await api.post('/api/v1/sequences')) as SequencesBrought;
      for (const { message, remedy } of faults) io.stderr.write(`pgfollow: ${printable(message)}\n${printable(remedy)}\n`);
      return faults;
    } catch (error) {
      if (!(error instanceof Refused) && !(error instanceof Unreachable)) throw error;
      // An older pgfollow does not know them.
      if (error instanceof Refused && error.status === 404) return [];
      if (performance.now() + POLL_MS > limits.deadline) {
        throw new Failure(`the rows are on the target, but not its sequences: ${error.message}`, {
          remedy: '`pgfollow status` shows what holds it up; --timeout SECONDS waits longer.',
          exitCode: EXIT.timeout,
        });
      }
    }
    await sleep(POLL_MS);
  }
}

/**
 * Where the source is now: every transaction that has committed by now ends at or before it. Then a message in the WAL,
 * so that on an idle source the position moves past it at once instead of with the next heartbeat.
 */
async function sourcePosition(url: string): Promise<Lsn> {
  const client = await connect({ role: 'source', url, purpose: 'wait' });
  try {
    const { rows } = await client.query<{ standby: boolean; lsn: string }>(
      `SELECT pg_catalog.pg_is_in_recovery() AS standby,
              (CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
                    ELSE pg_catalog.pg_current_wal_insert_lsn() END)::text AS lsn`,
    );
    const [row] = rows;
    if (row === undefined) throw new Failure('the source does not say where it is.', { remedy: 'Give --lsn X/Y.' });
    // Where the role may not, the heartbeat of the running pipeline does the same a moment later.
    if (!row.standby) await client.query(`SELECT pg_catalog.pg_logical_emit_message(true, 'pgfollow', 'wait')`).catch(() => {});
    return parseLsn(row.lsn);
  } finally {
    await disconnect(client);
  }
}

function readTimeout(args: Arguments): number {
  const text = textOf(args, 'timeout') ?? String(DEFAULT_TIMEOUT_S);
  const seconds = /^\d{1,9}(\.\d+)?$/.test(text) ? Number(text) : null;
  if (seconds === null) throw new UsageError(`wait: --timeout ${printable(text)} is no number of seconds`, 'wait');
  return seconds * 1000;
}

function readLsn(args: Arguments): Lsn | null {
  const text = textOf(args, 'lsn');
  if (text === undefined) return null;
  const lsn = tryParseLsn(text);
  if (lsn === null)
    throw new UsageError(`wait: --lsn ${printable(text)} is no position such as ${formatLsn(0x16b374d848n as Lsn)}`, 'wait');
  return lsn;
}

function sourceOption() {
  const option = CONFIG_OPTIONS['source-url'];
  return option === undefined ? {} : { 'source-url': option };
}
