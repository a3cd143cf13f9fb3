import { expect, it } from 'vitest';
import { passwordsOf, redactUrl, urlFault } from './source-url.ts';

it.each([
  ['postgresql://app:secret@db.example:5433/shop?sslmode=verify-full&sslrootcert=/ca.pem', null],
  ['postgres://db/shop', null],
  ['postgresql://', null],
  ['postgresql:///shop?host=/var/run/postgresql', null],
  ['postgresql://%2Fvar%2Frun%2Fpostgresql/shop', null],
  ['postgresql://app@[::1]:5432/shop', null],
  ['postgresql://app:a%40b%2Fc@db/shop', null],
  ['host=db password=secret', 'does not begin with'],
  ['mysql://app:secret@db/shop', 'does not begin with'],
  ['postgresql://app:se@cret@db/shop', '%40'],
  ['postgresql://app:se/cret@db/shop', '%2F'],
  ['postgresql://app:se?cret@db/shop', '%2F'],
  ['postgresql://app:100%@db/shop', '%25'],
  ['postgresql://a b@db/shop', 'blank'],
  ['postgresql://app@one:5433,two,[::1]:5434/shop?target_session_attrs=read-write', null],
  ['postgresql://one,two:99999/shop', 'port'],
  ['postgresql://db/shop?target_session_attrs=master', 'target_session_attrs is none of'],
  ['postgresql://db:99999/shop', 'port'],
  ['postgresql://db:x/shop', 'host:port'],
  ['postgresql://db/shop?sslmode', 'name=value'],
  ['postgresql://db/shop?sslmode=yes', 'sslmode is none of'],
])('%s', (url, fault) => {
  if (fault === null) expect(urlFault(url)).toBeNull();
  else expect(urlFault(url)).toContain(fault);
});

it.each([
  ['postgresql://app:secret@db:5433/shop?sslmode=require', 'postgresql://app:***@db:5433/shop?sslmode=require'],
  ['postgresql://app@db/shop', 'postgresql://app@db/shop'],
  ['postgresql://db/shop', 'postgresql://db/shop'],
  ['postgresql://db/shop?user=app&password=secret', 'postgresql://db/shop?user=app&password=***'],
  ['postgresql://db/shop?p%61ssword=secret', 'postgresql://db/shop?p%61ssword=***'],
  ['postgresql://db/shop?sslkey=k&sslpassword=secret', 'postgresql://db/shop?sslkey=k&sslpassword=***'],
  ['postgresql://db/shop?user=app@azure&password=secret', 'postgresql://db/shop?user=app@azure&password=***'],
  ['host=db password=secret', '(redacted)'],
])('redacts %s', (url, redacted) => {
  expect(redactUrl(url)).toBe(redacted);
});

it.each(['secret', 'se@cret', 'se/cret', 'se?cret', 'se:cret', 'se#cret', 'x@secret/y?z', '?secret', 'a?b=secret@', 'secret%zz'])(
  'never shows the password %s, however it is written',
  (password) => {
    const shown = redactUrl(`postgresql://app:${password}@db/shop`);
    expect(shown).not.toContain('cret');
    expect(shown).toContain('app:***@');
  },
);

it('finds the passwords, as written and as meant', () => {
  expect(passwordsOf('postgresql://app:a%40b@db/shop?sslpassword=key')).toEqual(['a%40b', 'key', 'a@b']);
  expect(passwordsOf('postgresql://app@db/shop')).toEqual([]);
});
