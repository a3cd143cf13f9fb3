// What the TypeScript compiler leaves behind: the page's own files, next to the code that serves them.
import { chmodSync, cpSync } from 'node:fs';

const root = new URL('../', import.meta.url);
cpSync(new URL('replicator/http/page/', root), new URL('dist/http/page/', root), {
  recursive: true,
  filter: (path) => !path.endsWith('.ts'),
});
chmodSync(new URL('dist/cli/main.js', root), 0o755);
