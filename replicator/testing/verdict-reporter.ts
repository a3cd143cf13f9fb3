import type { Reporter, TestModule } from 'vitest/node';

/** Ends a run with one plain line, and in CI fails a run in which a test was skipped: what is not run is not proven. */
export default class VerdictReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    for (const module of modules) for (const test of module.children.allTests()) count[test.result().state]++;
    const skipped = count.skipped + count.pending;
    process.stdout.write(`\ntests: ${count.passed} passed, ${count.failed} failed, ${skipped} skipped\n`);
    if (skipped > 0 && process.env['CI']) {
      process.stdout.write('A skipped test is a failure in CI.\n');
      process.exitCode = 1;
    }
  }
}
