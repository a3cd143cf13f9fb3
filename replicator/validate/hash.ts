import type { Side } from './side.ts';

// Their result depends on the byte order of the machine and, in theory, on the version: so both servers are asked first.
const FAST = (text: string): string => `pg_catalog.hashtextextended((${text}) COLLATE pg_catalog."C", 0)`;
const PORTABLE = (text: string): string =>
  `('x' || pg_catalog.substr(pg_catalog.md5(${text}), 1, 16))::pg_catalog.bit(64)::pg_catalog.int8`;
const PROBES = ['', 'a', '(1,"two, three",)', 'x'.repeat(1000)];

/** SQL that hashes $, a text, to 64 bits, alike on both servers. */
export async function commonHash({ source, target }: { readonly source: Side; readonly target: Side }): Promise<string> {
  const encodings = await Promise.all([source, target].map(encodingOf));
  // Servers hash a text as they keep it.
  const text = encodings[0] === encodings[1] ? '$' : `pg_catalog.convert_to($, 'UTF8')::pg_catalog.text`;
  const [here, there] = await Promise.all([source, target].map((side) => probe(side, FAST(text))));
  return here === there ? FAST(text) : PORTABLE(text);
}

async function encodingOf(side: Side): Promise<string> {
  const { encoding } = await side.row<{ encoding: string }>({
    text: `SELECT pg_catalog.current_setting('server_encoding') AS encoding`,
    values: [],
  });
  return encoding;
}

async function probe(side: Side, hash: string): Promise<string> {
  const values = PROBES.map((_, at) => `${hash.replace('$', `$${at + 1}::pg_catalog.text`)}::pg_catalog.text`);
  const { hashes } = await side.row<{ hashes: string }>({
    text: `SELECT pg_catalog.concat_ws(' ', ${values.join(', ')}) AS hashes`,
    values: PROBES,
  });
  return hashes;
}
