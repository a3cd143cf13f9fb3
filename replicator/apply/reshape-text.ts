import { unreachable } from '../problem.ts';
import type { ValueShape } from './value-shape.ts';

// A value's text is handled byte by byte, one code unit each, whatever its encoding: all that structures it is ASCII, in every
// encoding that a server has. A byte that the target must be given by other means is HIGH + its number.
const HIGH = 0x100;

/** The text as the target takes it; null for as it came. */
export function reshapeText(shape: ValueShape, text: string): string | null {
  switch (shape.is) {
    case 'char':
      return /^\\[0-7]{3}$/.test(text) ? String.fromCharCode(HIGH + Number.parseInt(text.slice(1), 8)) : null;
    case 'composite':
      return reshapeRow(shape, text);
    case 'array':
      return shape.of && reshapeElements(shape.of, text);
    case 'range':
      return reshapeBounds(shape.of, text);
    case 'multirange':
      return reshapeRanges(shape.of, text);
    default:
      return unreachable(shape);
  }
}

/** One item between delimiters; null for an empty one, which is NULL or infinite. */
interface Item {
  readonly value: string | null;
  /** Where its delimiter is. */
  readonly end: number;
}

// (a,"b ""c""",): an empty field is NULL.
function reshapeRow({ fields, target }: Extract<ValueShape, { is: 'composite' }>, text: string): string | null {
  const values = items(text, 1, text.length - 1);
  let changed = values.length < target.length;
  const out = values.map((value, i) => {
    const shape = fields[i]?.of;
    const other = shape && value !== null ? reshapeText(shape, value) : null;
    if (other === null) return value;
    changed = true;
    return other;
  });
  if (!changed) return null;
  const all = [...out, ...Array.from({ length: Math.max(0, target.length - out.length) }, () => null)];
  return `(${all.map(quoted).join(',')})`;
}

// empty, or a bracket, a bound, a comma, a bound, a bracket.
function reshapeBounds(shape: ValueShape, text: string): string | null {
  if (text === 'empty') return null;
  const bounds = items(text, 1, text.length - 1);
  const out = bounds.map((bound) => (bound === null ? null : (reshapeText(shape, bound) ?? bound)));
  return out.every((bound, i) => bound === bounds[i]) ? null : `${text[0]}${out.map(quoted).join(',')}${text.at(-1)}`;
}

// {[a,b),[c,d)}: as they are, without quotes.
function reshapeRanges(shape: ValueShape, text: string): string | null {
  const ranges: string[] = [];
  for (let at = 1; at < text.length - 1;) {
    const lower = item(text, at + 1);
    const { end } = item(text, lower.end + 1, '])');
    ranges.push(text.slice(at, end + 1));
    at = end + 2;
  }
  const out = ranges.map((range) => reshapeBounds(shape, range) ?? range);
  return out.every((range, i) => range === ranges[i]) ? null : `{${out.join(',')}}`;
}

// Items of a row or range: in quotes, where a quote or backslash is doubled, or without any.
function items(text: string, from: number, to: number): (string | null)[] {
  const found: (string | null)[] = [];
  for (let at = from; at <= to;) {
    const { value, end } = item(text, at, ',', to);
    found.push(value);
    at = end + 1;
  }
  return found;
}

function item(text: string, from: number, ends = ',', to = text.length): Item {
  let value = '';
  let inQuotes = false;
  let at = from;
  for (; at < to; at++) {
    const letter = text[at] ?? '';
    if (letter === '"') {
      if (inQuotes && text[at + 1] === '"') value += text[++at];
      else inQuotes = !inQuotes;
    } else if (letter === '\\') {
      value += text[++at] ?? '';
    } else if (!inQuotes && ends.includes(letter)) {
      break;
    } else {
      value += letter;
    }
  }
  return { value: at === from ? null : value, end: at };
}

function quoted(value: string | null): string {
  return value === null ? '' : `"${value.replaceAll(/["\\]/g, '$&$&')}"`;
}

// [2:3]={{a,"b \"c\""},{NULL,""}}: quotes, where a quote or backslash has a backslash before it.
function reshapeElements(shape: ValueShape, text: string): string | null {
  let out = '';
  let done = 0;
  for (let at = text.startsWith('[') ? text.indexOf('=') + 1 : 0; at < text.length;) {
    if ('{},'.includes(text[at] ?? '')) {
      at++;
      continue;
    }
    const { value, end } = element(text, at);
    const other = value === null ? null : reshapeText(shape, value);
    if (other !== null) {
      out += `${text.slice(done, at)}"${other.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
      done = end;
    }
    at = end;
  }
  return done === 0 ? null : out + text.slice(done);
}

function element(text: string, from: number): Item {
  let at = from;
  if (text[at] !== '"') {
    while (at < text.length && !'{},'.includes(text[at] ?? '')) at++;
    const value = text.slice(from, at);
    return { value: value === 'NULL' ? null : value, end: at };
  }
  let value = '';
  for (at++; at < text.length && text[at] !== '"'; at++) value += text[at] === '\\' ? text[++at] : text[at];
  return { value, end: at + 1 };
}

/** Stands before a byte that is told by its number; see markedSql in statements.ts. */
export const MARK = 0x01;

/** Where a text may hold such bytes: each is told by three digits behind a mark, and so is the mark itself. */
export function marked(text: string): Buffer {
  const told = (code: number): string => String.fromCharCode(MARK) + String(signed(code) + 128).padStart(3, '0');
  let out = '';
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    out += code >= HIGH ? told(code - HIGH) : code === MARK ? told(code) : text[at];
  }
  return Buffer.from(out, 'latin1');
}

// A "char" as a number.
function signed(byte: number): number {
  return byte < 128 ? byte : byte - 256;
}
