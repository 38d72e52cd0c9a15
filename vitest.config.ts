import { defineConfig, type ViteUserConfig } from 'vitest/config'

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['{src,lab,bench,tools,explore}/**/*.test.ts'],
    // A slow machine is no failure: the limits are there for what hangs.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})

export default config
