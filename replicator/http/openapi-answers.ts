/** A part of the description. */
export type Json = Record<string, unknown>;

/** A schema by its name. */
export const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

/** An answer with a body of this schema. */
export function ok(description: string, schema: Json, media = 'application/json'): Json {
  return { description, content: { [media]: { schema } } };
}

export function plain(description: string): Json {
  return ok(description, { type: 'string' }, 'text/plain');
}

/** One that says why a request is refused. */
export function refused(description: string): Json {
  return ok(description, ref('Problem'), 'application/problem+json');
}

// Those that many paths give.
export const UNAUTHORIZED = { 401: refused('A token is set and was not sent.') };
export const FOREIGN = { 403: refused('The request comes from another origin or names an unknown host.') };
export const HIDDEN = { 403: refused('Without a token: the request names a host that is neither an address nor localhost.') };
export const BAD_QUERY = { 400: refused('A parameter is not as described.') };
export const NOT_CONNECTED = { 503: refused('A database that has to take part is not connected; try again.') };
export const UNKNOWN = { 404: refused('The table is not followed.') };
export const NOT_NOW = { 409: refused('Not possible in the present state; the remedy says what is.') };
