import type { Finding } from '../finding.ts';
import { printable, style, wrap } from './style.ts';

const INDENT = '         ';

/**
 * One line a finding: level, place, code, what was found, and after an arrow what mends it. On a terminal, given its
 * `columns`, both are broken into lines below each other.
 */
export function renderFindings(findings: readonly Finding[], options: { color: boolean; columns: number | null }): string[] {
  const paint = style(options.color);
  const grade = (level: Finding['level']): string => {
    const word = level.padEnd(7);
    return level === 'ok' ? paint.green(word) : level === 'warning' ? paint.yellow(word) : paint.red(word);
  };
  return findings.flatMap(({ level, where, code, message, remedy }) => {
    const head = `${grade(level)}  ${where.padEnd(7)}  ${code}`;
    if (options.columns === null) return [`${head}  ${oneLine(message)}${remedy === null ? '' : `  ->  ${oneLine(remedy)}`}`];
    const width = Math.max(20, options.columns - INDENT.length);
    const said = wrap(printable(message), width).map((line) => `${INDENT}${line}`);
    const todo = remedy === null ? [] : wrap(printable(remedy), width - 2).map((line) => `${INDENT}${paint.cyan(`  ${line}`)}`);
    return [`${grade(level)}  ${paint.dim(where)} ${paint.bold(code)}`, ...said, ...todo];
  });
}

/** How many of each, and what to do next. */
export function summarizeFindings(findings: readonly Finding[]): string {
  const count = (level: Finding['level']): number => findings.filter((finding) => finding.level === level).length;
  const [errors, warnings] = [count('error'), count('warning')];
  const said = `${plural(errors, 'error')}, ${plural(warnings, 'warning')}, ${plural(findings.length, 'check')}.`;
  return errors > 0 ? `${said} Mend the errors, then \`pgfollow doctor\` again.` : `${said} \`pgfollow run\` can start.`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function oneLine(text: string): string {
  return printable(text.replaceAll(/\s*\n\s*/g, ' '));
}
