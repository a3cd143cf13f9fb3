import { expect, test } from 'vitest';
import { inAscii } from './stored-text.ts';

test.each([
  ['plain\ntext ~', 'plain\ntext ~'],
  ['é表', '\\u{e9}\\u{8868}'],
  ['🐘', '\\u{1f418}'],
])('%j in ASCII is %j', (text, ascii) => {
  expect(inAscii(text)).toBe(ascii);
});
