import type { ConfigProblem } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { complaint, type Finding } from '../finding.ts';
import { Problem } from '../problem.ts';
import { CONFIG_OPTIONS, refusePositionals, type Arguments } from './args.ts';
import type { Command } from './command.ts';
import { renderFindings, summarizeFindings } from './doctor-view.ts';
import { EXIT } from './failure.ts';
import { interruption, type Io } from './io.ts';
import { loadConfigOf } from './load-config.ts';
import { wantsColor } from './style.ts';

export const doctorCommand: Command = {
  usage: 'doctor [--json] [--quiet] [--strict] [OPTIONS]',
  options: {
    json: {
      type: 'boolean',
      help: 'as {"findings": [{code, level, where, table, message, remedy}], "errors": N, "warnings": N}',
    },
    strict: { type: 'boolean', help: 'warnings end with exit code 3 too' },
    quiet: { type: 'boolean', short: 'q', help: 'without what is fine' },
    ...CONFIG_OPTIONS,
  },
  notes:
    'Looks at configuration, network, source and target in read-only sessions; nothing is changed, and a pipeline that runs is not\n' +
    'disturbed. One line a finding: ok, warning or error, where, its code, and after -> the SQL or setting that mends it.\n' +
    'Exit code 3 where there are errors.',
  examples: [
    ['pgfollow doctor', ''],
    ['pgfollow doctor --quiet --strict', 'in scripts: silence and 0 where all is well'],
    ['pgfollow doctor --json | jq -r ".findings[] | select(.level == \\"error\\") | .remedy"', 'the SQL alone'],
  ],
  async run(args, io) {
    refusePositionals('doctor', args);
    const json = Boolean(args.values['json']);
    const config = await readConfig(args, io, json);
    const { examine } = await import('../doctor/examine.ts');
    using interrupted = interruption(io);
    const all = await examine(config, { signal: interrupted.signal });
    if (interrupted.signal.aborted) return EXIT.failure;
    const findings = args.values['quiet'] ? all.filter(({ level }) => level !== 'ok') : all;
    if (json) writeJson(io, findings);
    else {
      const color = wantsColor(io.stdout, io.env, Boolean(args.values['no-color']));
      const columns = io.stdout.isTTY ? (io.stdout.columns ?? 80) : null;
      for (const line of renderFindings(findings, { color, columns })) io.stdout.write(`${line}\n`);
      if (!args.values['quiet'] || findings.length > 0) io.stderr.write(`${summarizeFindings(all)}\n`);
    }
    return exitCodeOf(all, Boolean(args.values['strict']));
  },
};

/** 3 where something has to be mended. */
export function exitCodeOf(findings: readonly Finding[], strict: boolean): number {
  const bad = findings.some(({ level }) => level === 'error' || (strict && level === 'warning'));
  return bad ? EXIT.findings : EXIT.done;
}

// A configuration that cannot be used ends with 2, as for every command; --json has its faults as findings as well.
async function readConfig(args: Arguments, io: Io, json: boolean): Promise<Config> {
  try {
    return (await loadConfigOf(args, io)).config;
  } catch (error) {
    if (json && isConfigProblem(error)) writeJson(io, error.issues.map(asFinding));
    throw error;
  }
}

function isConfigProblem(error: unknown): error is ConfigProblem {
  return error instanceof Problem && 'issues' in error;
}

function asFinding({ path, value, allowed, origin }: ConfigProblem['issues'][number]): Finding {
  const message = `${path}: ${value}${origin === 'default' ? '' : ` (${origin})`}`;
  return complaint('error', 'config', 'CONFIG_INVALID', { message, remedy: allowed });
}

function writeJson(io: Io, findings: readonly Finding[]): void {
  const count = (level: Finding['level']): number => findings.filter((finding) => finding.level === level).length;
  io.stdout.write(`${JSON.stringify({ findings, errors: count('error'), warnings: count('warning') }, null, 2)}\n`);
}
