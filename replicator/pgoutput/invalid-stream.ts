import { Problem } from '../problem.ts';

/** The source sent something that is not pgoutput, or not in its order. */
export function invalidStream(what: string, cause?: unknown): Problem {
  return new Problem('STREAM_INVALID', `The source sent what this version cannot read: ${what}`, {
    remedy: 'Please report this with the source version; the slot keeps everything until it can be read.',
    cause,
  });
}
