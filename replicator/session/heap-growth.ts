import { setFlagsFromString } from 'node:v8';

/** With fewer tables what is known of them is small beside all else. */
const MANY_TABLES = 1000;
/** V8 lets its old space grow to up to four times what is in use before it collects; that is hundreds of MB here. */
const GROWTH_PERCENT = 25;

/** What the process was told last; zero leaves it to V8. */
let told = 0;

/**
 * What is known of thousands of tables is read anew whenever the source's catalog changes. So that what was known before
 * does not stay in memory for long, garbage is collected earlier.
 */
export function boundHeapGrowth(tables: number): void {
  const percent = tables >= MANY_TABLES ? GROWTH_PERCENT : 0;
  if (percent === told) return;
  told = percent;
  setFlagsFromString(`--heap-growing-percent=${percent}`);
}
