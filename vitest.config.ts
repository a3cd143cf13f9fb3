import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['replicator/**/*.test.ts', 'bench/**/*.test.ts', 'scripts/**/*.test.ts'],
    exclude: ['dist/**', 'node_modules/**'],
    globalSetup: ['replicator/testing/global-setup.ts'],
    reporters: ['default', './replicator/testing/verdict-reporter.ts'],
    allowOnly: !process.env['CI'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Files of one worker share a process and what they import: nothing of ours keeps anything beside what it was asked for, and to start a
    // process and import all of it for each file took a tenth of the time.
    isolate: false,
    // Three would take a seventh less time on two cores, and tests that wait for something would wait too little there.
    maxWorkers: 2,
    // Of tests that mostly wait, side by side in one file.
    maxConcurrency: 4,
  },
});
