import { defineConfig, type ViteUserConfig } from 'vitest/config'

const config: ViteUserConfig = defineConfig({
  // Examples import the package by its name, as their readers do.
  resolve: {
    alias: {
      'isogroup/model': `${import.meta.dirname}/src/open/model.ts`,
      isogroup: `${import.meta.dirname}/src/open/index.ts`,
    },
  },
  test: {
    include: ['{src,lab,bench,tools,explore,examples}/**/*.test.ts'],
    // A slow machine is no failure: the limits are there for what hangs.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})

export default config
