import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'));
const { packages } = read('package-lock.json') as { packages: Readonly<Record<string, Locked>> };
const { overrides } = read('package.json') as { overrides: Readonly<Record<string, string>> };

/** What Node.js would find as `name` from `place`: the nearest. */
function found(place: string, name: string): Locked | undefined {
  const parts = place.split('/node_modules/');
  const folders = parts.map((_, at) => `${parts.slice(0, parts.length - at).join('/node_modules/')}/node_modules/${name}`);
  return [...folders, `node_modules/${name}`].map((each) => packages[each]).find((locked) => locked !== undefined);
}

function fits(locked: Locked | undefined, range: string): boolean {
  const [, major] = /^\^([1-9]\d*)\.[^ ]+$/.exec(range) ?? [];
  return locked !== undefined && (major === undefined || locked.version?.startsWith(`${major}.`) === true);
}

// npm writes down the optional packages of this platform alone, and then `npm ci` refuses on every other.
test('npm ci finds what every package may need on any platform', () => {
  const missing = Object.entries(packages).flatMap(([place, { dependencies, optionalDependencies }]) =>
    Object.entries({ ...dependencies, ...optionalDependencies })
      .filter(([name, range]) => !fits(found(place, name), overrides[name] ?? range))
      .map(([name, range]) => `${name}@${range} for ${place}`),
  );
  expect(missing).toEqual([]);
});

test('no package is tied to one registry', () => {
  expect(Object.values(packages).filter(({ resolved }) => resolved !== undefined)).toEqual([]);
});
