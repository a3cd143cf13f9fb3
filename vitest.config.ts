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
    // Tests on servers wait for a quarter of their time: three of them keep two cores busy.
    maxWorkers: 3,
    // Of tests that mostly wait, side by side in one file.
    maxConcurrency: 4,
  },
});
