import { defineConfig, type ViteUserConfig } from 'vitest/config'

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['{src,lab,bench,tools}/**/*.test.ts'],
    testTimeout: 60_000,
  },
})

export default config
