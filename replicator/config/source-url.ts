const SCHEME = /^postgres(?:ql)?:\/\//;
const SECRET_PARAMETERS = new Set(['password', 'sslpassword', 'oauth_client_secret']);

/** Parameters that take one of a few words. */
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  sslmode: ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'],
  channel_binding: ['disable', 'prefer', 'require'],
  sslnegotiation: ['postgres', 'direct'],
  target_session_attrs: ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'],
};

/**
 * Why a text is no libpq connection URI, or null when it is one. The reason never repeats any of it.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */
export function urlFault(text: string): string | null {
  if (!SCHEME.test(text)) return 'it does not begin with postgresql:// or postgres://';
  if (/[\s]/.test(text)) return 'it holds a blank; write %20';
  const { userinfo, hosts, path, query } = split(text);
  for (const part of [userinfo ?? '', hosts, path, query]) {
    if (/%(?![0-9A-Fa-f]{2})/.test(part)) return 'a % is not followed by two hexadecimal digits; write %25 for the sign itself';
  }
  if (userinfo?.includes('@')) return 'the password holds an @; write %40';
  if (/[/?#]/.test(userinfo ?? '')) return 'the password holds one of / ? #; write %2F, %3F, %23';
  for (const host of hosts.split(',')) {
    const match = /^(?:\[[0-9A-Fa-f:.%]+\]|[^:[\]]*)(?::(\d*))?$/.exec(host);
    if (!match) return 'the host is not written as host or host:port';
    if (match[1] && (Number(match[1]) < 1 || Number(match[1]) > 65535)) return 'the port is not between 1 and 65535';
  }
  for (const pair of query === '' ? [] : query.split('&')) {
    if (!/^[^=]+=[^=]*$/.test(pair)) return 'a parameter after the ? is not written as name=value';
    const [name, value = ''] = pair.split('=');
    const choices = CHOICES[name ?? ''];
    if (choices && !choices.includes(value)) return `${name} is none of ${choices.join(', ')}`;
  }
  return null;
}

/** The URI without its secrets, for messages: the password becomes `***`. */
export function redactUrl(url: string): string {
  if (!SCHEME.test(url)) return '(redacted)';
  const scheme = SCHEME.exec(url)?.[0] ?? '';
  const { userinfo, hosts, path, query } = split(url);
  const user = userinfo?.split(':', 1)[0];
  const hidden = userinfo?.includes(':') ? `${user}:***@` : userinfo === null ? '' : `${user}@`;
  const parameters = query.split('&').map((pair) => {
    return isSecret(pair) ? `${pair.split('=', 1)[0]}=***` : pair;
  });
  return `${scheme}${hidden}${hosts}${path}${query === '' ? '' : `?${parameters.join('&')}`}`;
}

/** The passwords in a URI, as they are written and as they are meant. */
export function passwordsOf(url: string): string[] {
  const { userinfo, query } = split(url);
  const inUser = userinfo?.includes(':') ? [userinfo.slice(userinfo.indexOf(':') + 1)] : [];
  const inQuery = query
    .split('&')
    .filter((pair) => isSecret(pair))
    .map((pair) => pair.slice(pair.indexOf('=') + 1));
  const written = [...inUser, ...inQuery].filter((password) => password !== '');
  return [...new Set([...written, ...written.map(decodeLoosely)])];
}

function isSecret(pair: string): boolean {
  return SECRET_PARAMETERS.has(decodeLoosely(pair.split('=', 1)[0] ?? '').toLowerCase());
}

/** A URI in its parts, as they are written. `path` with its slash, `query` without its question mark. */
export interface UrlParts {
  readonly scheme: string;
  readonly userinfo: string | null;
  readonly hosts: string;
  readonly path: string;
  readonly query: string;
}

export function isUrl(text: string): boolean {
  return SCHEME.test(text);
}

export function splitUrl(url: string): UrlParts {
  return { scheme: SCHEME.exec(url)?.[0] ?? '', ...split(url) };
}

export function joinUrl({ scheme, userinfo, hosts, path, query }: UrlParts): string {
  return `${scheme}${userinfo === null ? '' : `${userinfo}@`}${hosts}${path}${query === '' ? '' : `?${query}`}`;
}

/**
 * The last @ ends the user information, so that a password with an unescaped @, / or ? in it is
 * reported and never shown. An @ inside the query belongs to the query only when none precedes it.
 */
function split(url: string): { userinfo: string | null; hosts: string; path: string; query: string } {
  const rest = url.replace(SCHEME, '');
  const plain = /^[^@/?]*$|^([^@/?]*)@[^@]*$/.test(rest) ? rest.indexOf('@') : rest.lastIndexOf('@');
  const query = rest.indexOf('?');
  const inQuery = query >= 0 && plain > query && !rest.slice(0, query).includes('@') && !rest.slice(0, query).includes(':');
  const at = inQuery ? -1 : plain;
  const tail = rest.slice(at + 1);
  const [, hosts = '', path = '', parameters = ''] = /^([^/?]*)(\/[^?]*)?(?:\?(.*))?$/s.exec(tail) ?? [];
  return { userinfo: at < 0 ? null : rest.slice(0, at), hosts, path, query: parameters };
}

function decodeLoosely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
