import { expect, it } from 'vitest';
import { createLog, maskSecrets } from './log.ts';

function capture(secrets: string[] = []): { lines: string[]; log: ReturnType<typeof createLog> } {
  const lines: string[] = [];
  const log = createLog({ level: 'info', name: 'shop', secrets, destination: { write: (line) => void lines.push(line) } });
  return { lines, log };
}

it('writes JSON lines with level, time and message', () => {
  const { lines, log } = capture();
  log.info({ rows: 3 }, 'batch applied');
  log.debug('not at this level');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'info', name: 'shop', rows: 3, msg: 'batch applied' });
});

it('lets no secret out', () => {
  const { lines, log } = capture(['s3cr"et-token']);
  const url = 'postgresql://app:hunter2@db:5432/app?sslpassword=hunter2';
  log.error({ err: new Error(`cannot connect to ${url}`), config: { token: 'hunter2', url } }, `tried ${url} password=hunter2`);
  log.warn({ header: 'Bearer s3cr"et-token' }, 'bad');
  expect(lines.join('')).not.toMatch(/hunter2|s3cr/);
  for (const line of lines) expect(() => JSON.parse(line) as unknown).not.toThrow();
});

it.each([
  ['postgresql://app:p%40ss@h/db', 'postgresql://app:***@h/db'],
  ['postgresql://app:a@b@h/db', 'postgresql://app:***@h/db'],
  ['postgresql://:pw@h/db', 'postgresql://:***@h/db'],
  ['postgresql://app@h:5432/db', 'postgresql://app@h:5432/db'],
  ['http://127.0.0.1:5884/?a=b@c', 'http://127.0.0.1:5884/?a=b@c'],
  ["host=h password='a b' user=u", 'host=h password=*** user=u'],
  ['10:30 mail@example.org', '10:30 mail@example.org'],
])('masks %s', (text, masked) => {
  expect(maskSecrets(text)).toBe(masked);
});
