/**
 * Lint: typescript-eslint's strictest typed rules, and the limits of style that a rule can hold.
 * Formatting is biome's business, imports between layers dependency-cruiser's.
 */
import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'

/** Node's globals that the untyped tools use. */
const NODE_GLOBALS = ['Buffer', 'URL', 'console', 'performance', 'process', 'setTimeout']

export default defineConfig(
  globalIgnores(['dist/', '.build/', '.lab-cache/', 'coverage/', 'machines/', 'docs/']),
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'Export by name: no default exports' },
        { selector: 'ExportAllDeclaration', message: 'No barrels: import from the file itself' },
      ],
      'object-shorthand': 'error',
      'prefer-const': 'error',
    },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      // `(done) => clearTimeout(timer)` is plain enough.
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-floating-promises': 'error',
      // Numbers read well in a template; everything else must be made a string on purpose.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
    },
  },
  {
    files: ['**/*.mjs'],
    languageOptions: {
      globals: Object.fromEntries(NODE_GLOBALS.map((name) => [name, 'readonly'])),
    },
    rules: { 'no-undef': 'error', 'no-unused-vars': 'error', 'no-unreachable': 'error' },
  },
  {
    files: ['**/*.{ts,mjs}'],
    ignores: ['**/*.test.ts'],
    rules: {
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: { 'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }] },
  },
  {
    files: ['src/cli/**', 'tools/**', 'bench/**', 'lab/**', 'examples/**'],
    rules: { 'no-console': 'off' },
  },
  {
    // What a tool reads from a configuration file has to be its default export.
    files: ['*.config.{ts,mjs}', '.dependency-cruiser.mjs'],
    rules: { 'no-restricted-syntax': 'off' },
  },
)
