import { availableParallelism } from 'node:os'
import { defineConfig, type ViteUserConfig } from 'vitest/config'

const config: ViteUserConfig = defineConfig({
  // Examples import the package by its name, as their readers do.
  resolve: {
    alias: {
      'isogroup/access': `${import.meta.dirname}/src/open/access.ts`,
      'isogroup/model': `${import.meta.dirname}/src/open/model.ts`,
      isogroup: `${import.meta.dirname}/src/open/index.ts`,
    },
  },
  test: {
    include: ['{src,lab,bench,tools,explore,examples}/**/*.test.ts'],
    // One of the processors would be left to Vitest itself, which has nothing to do meanwhile.
    maxWorkers: availableParallelism(),
    // A slow machine is no failure: the limits are there for what hangs.
    testTimeout: 240_000,
    hookTimeout: 240_000,
  },
})

export default config
