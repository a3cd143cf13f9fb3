import { setFlagsFromString } from 'node:v8';

/** With fewer tables what is known of them is small beside all else. */
const MANY_TABLES = 1000;
/** V8 lets its old space grow to up to four times what is in use before it collects; that is hundreds of MB here. */
const GROWTH_PERCENT = 25;
/** With few tables it is the garbage of large batches: 45 MB less in a large UPDATE, at a tenth more CPU in Node.js (bench `big-update`). */
const USUAL_GROWTH_PERCENT = 150;

/** What the process was told last; zero leaves it to V8. */
let told = 0;

/**
 * So that garbage does not stay in memory for long, it is collected earlier than V8 would. What is known of thousands of tables is read
 * anew whenever the source's catalog changes, and then all that was known before is garbage at once.
 */
export function boundHeapGrowth(tables: number): void {
  const percent = tables >= MANY_TABLES ? GROWTH_PERCENT : USUAL_GROWTH_PERCENT;
  if (percent === told) return;
  told = percent;
  setFlagsFromString(`--heap-growing-percent=${percent}`);
}
