import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';

export const SESSION_COOKIE = 'pgfollow_session';
export const SESSION_SECONDS = 30 * 86_400;
/** The hidden field that every form of the page carries. */
export const FORM_FIELD = 'form_token';

export interface Credentials {
  readonly authorization: string | undefined;
  readonly sessionCookie: string | undefined;
  readonly path: string;
}

/** Who may come in. Without a token: everybody who can reach the address. */
export class Access {
  readonly #token: string | null;
  readonly #boundHost: string;
  /** What a form of the page must bring along (FORM_FIELD): only who can read the page knows it. */
  readonly formToken: string;

  constructor(options: { token: string | null; host: string }) {
    this.#token = options.token;
    this.#boundHost = options.host.toLowerCase();
    // With a token the forms of an open page outlive a restart.
    this.formToken = createHmac('sha256', options.token ?? randomBytes(32))
      .update('pgfollow form')
      .digest('base64url');
  }

  isFormToken(candidate: unknown): boolean {
    return typeof candidate === 'string' && equal(candidate, this.formToken);
  }

  get needsToken(): boolean {
    return this.#token !== null;
  }

  isToken(candidate: string): boolean {
    return this.#token !== null && equal(candidate, this.#token);
  }

  /** Bearer everywhere, the page's cookie everywhere, basic auth with the token as password for scrapers. */
  allows(credentials: Credentials, nowMs: number): boolean {
    if (this.#token === null) return true;
    const { authorization, sessionCookie, path } = credentials;
    const bearer = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (bearer !== undefined) return this.isToken(bearer);
    const basic = /^Basic +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (basic !== undefined && path === '/metrics') {
      const pair = Buffer.from(basic, 'base64').toString('utf8');
      return this.isToken(pair.slice(pair.indexOf(':') + 1));
    }
    return sessionCookie !== undefined && this.#isSession(sessionCookie, nowMs);
  }

  /** What the cookie holds: until when, and an HMAC over that. Not the token, and worthless once the token changes. */
  newSession(nowMs: number): string {
    const until = Math.floor(nowMs / 1000) + SESSION_SECONDS;
    return `${until}.${this.#sign(until)}`;
  }

  /**
   * Why a request that changes something is refused, or null. Guards against other sites' pages (Origin,
   * Sec-Fetch-Site) and against names that were made to point here, DNS rebinding (Host). Programs send neither
   * of the first two. https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site
   */
  refusal(headers: {
    host?: string | undefined;
    origin?: string | undefined;
    'sec-fetch-site'?: string | string[] | undefined;
  }): 'origin' | 'host' | null {
    const site = headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin' && site !== 'none') return 'origin';
    if (headers.origin !== undefined && authority(headers.origin) !== headers.host?.toLowerCase()) return 'origin';
    return this.#knowsHost(headers.host ?? '') ? null : 'host';
  }

  /**
   * Whether a page that was read under this Host could be another site's: its name made to point at a server that only
   * this machine can reach. Where other machines may ask without a token, there is nothing to protect.
   */
  hidesFrom(host: string | undefined): boolean {
    return isLoopback(this.#boundHost) && !this.#knowsHost(host ?? '');
  }

  /** With a token the name does not matter: another site's page does not have the token, nor the SameSite cookie. */
  #knowsHost(header: string): boolean {
    if (this.#token !== null) return true;
    const host = hostname(header);
    if (host === this.#boundHost || host === 'localhost' || host.endsWith('.localhost')) return true;
    return isIP(host) !== 0;
  }

  #isSession(cookie: string, nowMs: number): boolean {
    const [until = '', signature = ''] = cookie.split('.');
    if (!/^\d{1,12}$/.test(until)) return false;
    return equal(signature, this.#sign(Number(until))) && Number(until) * 1000 > nowMs;
  }

  #sign(until: number): string {
    return createHmac('sha256', this.#token ?? '')
      .update(`pgfollow session until ${until}`)
      .digest('base64url');
  }
}

/** Loopback addresses may be served without a token. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  return bare === 'localhost' || bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'));
}

/** In the same time whatever the candidate; digests because timingSafeEqual wants equal lengths. */
function equal(candidate: string, secret: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(candidate), digest(secret));
}

/** `http://a:1` -> `a:1`; `null` and what is no URL -> undefined. */
function authority(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

/** `[::1]:5884` -> `::1`, `name:5884` -> `name`. */
function hostname(header: string): string {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::\d+)?$/.exec(header.trim().toLowerCase());
  return match?.[1] ?? match?.[2] ?? '';
}
