import { createHash } from 'node:crypto';
import { LOGIN_STYLE } from './page/assets.ts';

const loginStyle = createHash('sha256').update(LOGIN_STYLE).digest('base64');

/**
 * Nothing from elsewhere, nothing inline but the style of the login form, in no frame, never cached.
 * The referrer goes to ourselves: with no-referrer browsers send `Origin: null` with a form, and the
 * origin check could no longer tell our page from another.
 * https://fetch.spec.whatwg.org/#append-a-request-origin-header
 */
export const SECURITY_HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'sha256-${loginStyle}'`,
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
} as const;
