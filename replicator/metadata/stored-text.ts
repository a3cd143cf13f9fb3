import { SQLSTATE, sqlState } from '../postgres/sqlstate.ts';

/**
 * Stores texts for people: as they are, or, where the encoding of the target lacks one of their characters, with those beyond
 * ASCII as \u{…}. A value that the target cannot hold is a reason to say so, and must not keep us from saying it. Not within
 * a transaction.
 */
export async function storeText<Texts extends readonly (string | null)[]>(
  texts: Texts,
  store: (texts: Texts) => Promise<unknown>,
): Promise<void> {
  try {
    await store(texts);
  } catch (error) {
    if (sqlState(error) !== SQLSTATE.untranslatable_character) throw error;
    await store(texts.map((text) => text && inAscii(text)) as unknown as Texts);
  }
}

/** `é表` -> `\u{e9}\u{8868}` */
export function inAscii(text: string): string {
  return text.replaceAll(/[^\n\t -~]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
