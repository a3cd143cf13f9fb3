import type { Output } from './io.ts';

export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  yellow(text: string): string;
  green(text: string): string;
  cyan(text: string): string;
}

const ESC = '\u001b[';

/** Whether a stream wants colours: a terminal that can, and nobody said no. https://no-color.org */
export function wantsColor(output: Output, env: Readonly<Record<string, string | undefined>>, noColor = false): boolean {
  return Boolean(output.isTTY) && !noColor && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
}

/** ANSI colours, or functions that change nothing. */
export function style(color: boolean): Style {
  const paint = (open: number, close: number) => (text: string) => (color ? `${ESC}${open}m${text}${ESC}${close}m` : text);
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    red: paint(31, 39),
    yellow: paint(33, 39),
    green: paint(32, 39),
    cyan: paint(36, 39),
  };
}

/** 1536 -> `1.5 kB`: 1024 to the next, as pg_size_pretty() counts. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** 1234567 -> `1 234 567`, whatever the locale. */
export function formatCount(count: number): string {
  return String(Math.round(count)).replaceAll(/\B(?=(\d{3})+$)/g, ' ');
}

/** Text from a database or a server, safe for a terminal: no control characters, so no escape sequences either. */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{Cc}\t\n]/gu, '\u{fffd}');
}

/** Breaks a text at blanks into lines of at most `columns` characters, where words allow. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    let line = '';
    for (const word of paragraph.split(' ')) {
      const longer = line === '' ? word : `${line} ${word}`;
      if (line !== '' && width(longer) > columns) {
        lines.push(line);
        line = word;
      } else {
        line = longer;
      }
    }
    lines.push(line);
  }
  return lines;
}

/** Characters, not UTF-16 units. */
function width(text: string): number {
  return Array.from(text).length;
}

/** Columns that are as wide as their widest cell; `right` lists the columns of numbers. */
export function align(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, width(cell));
  return rows.map((row) => {
    const cells = row.map((cell, at) => {
      const fill = ' '.repeat((widths[at] ?? 0) - width(cell));
      return right.includes(at) ? fill + cell : cell + fill;
    });
    return cells.join('  ').trimEnd();
  });
}
