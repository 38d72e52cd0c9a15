/**
 * The layer rules of ARCHITECTURE.md, for dependency-cruiser. `npm run layers` applies them; what each
 * one catches is shown in tools/layers.test.ts.
 *
 * Tests (*.test.ts) and what only tests use (*.case.ts) may import anything; nothing else may import
 * them.
 */

/** Which layers a layer may import, beside itself. A folder of src/ that is not here is an error. */
export const LAYERS = {
  base: [],
  pci: ['base'],
  isolation: ['pci', 'base'],
  kernel: ['base'],
  model: ['kernel', 'pci', 'base'],
  linux: ['kernel', 'isolation', 'pci', 'base'],
  lspci: ['isolation', 'pci', 'base'],
  service: ['isolation', 'pci', 'base'],
  access: ['linux', 'kernel', 'isolation', 'pci', 'base'],
  open: ['access', 'service', 'lspci', 'linux', 'model', 'kernel', 'isolation', 'pci', 'base'],
  cli: ['open', 'service', 'isolation', 'pci', 'base'],
}

/** The stages of isolation/: each may import only the ones before it, host.ts and findings.ts. */
export const STAGES = [
  'topology',
  'groups',
  'assess',
  'explain',
  'difference',
  'transaction',
  'ownership',
  'plan',
  'context',
]

const TESTS = '\\.(test|case)\\.ts$'
const MODEL = '^src/model/'
const NATIVE = '^src/kernel/native/'
/** Where Node's own modules and packages from npm may be used. */
const RIM = `${NATIVE}|^src/(open|cli|service)/`

const layerRules = Object.entries(LAYERS).map(([layer, below]) => ({
  name: `layer-${layer}`,
  comment: `${layer} may import ${below.length === 0 ? 'no other layer' : below.join(', ')}`,
  severity: 'error',
  from: { path: `^src/${layer}/`, pathNot: TESTS },
  to: { path: '^src/', pathNot: `^src/(${[layer, ...below].join('|')})/` },
}))

const stageRules = STAGES.map((stage, position) => ({
  name: `stage-${stage}`,
  comment: `isolation/${stage} may import only host.ts, live-host.ts, findings.ts and the stages before it`,
  severity: 'error',
  from: { path: `^src/isolation/${stage}/`, pathNot: TESTS },
  to: {
    path: '^src/isolation/',
    pathNot: `^src/isolation/((host|live-host|findings)\\.ts$|(${STAGES.slice(0, position + 1).join('|')})/)`,
  },
}))

export default {
  forbidden: [
    ...layerRules,
    ...stageRules,
    {
      name: 'node-only-at-the-rim',
      comment: 'only kernel/native, open, cli and service may use Node: the rest is pure',
      severity: 'error',
      from: { path: '^src/', pathNot: `${TESTS}|${RIM}` },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'packages-only-at-the-rim',
      comment: 'only kernel/native, open, cli and service may use packages from npm',
      severity: 'error',
      from: { path: '^src/', pathNot: `${TESTS}|${RIM}` },
      to: { path: 'node_modules/' },
    },
    {
      name: 'koffi-only-in-native',
      comment: 'system calls are behind the Kernel port',
      severity: 'error',
      from: { pathNot: NATIVE },
      to: { path: '(^|/)koffi(/|$)' },
    },
    {
      name: 'native-only-from-open',
      comment: 'the real kernel is chosen in one place',
      severity: 'error',
      from: { path: '^src/', pathNot: `${TESTS}|${NATIVE}|^src/open/` },
      to: { path: NATIVE },
    },
    {
      name: 'no-tests-in-production',
      comment: 'what only tests use is imported only by tests',
      severity: 'error',
      // What is run in guests is a test too, only in another place.
      from: { pathNot: `${TESTS}|^lab/` },
      to: { path: TESTS },
    },
    {
      name: 'src-stands-alone',
      comment: 'the product does not import its tools, benchmarks or lab',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(tools|bench|lab)/' },
    },
    {
      name: 'front-doors-stay-in-front',
      comment: 'tools, benchmarks and lab use the program by running it',
      severity: 'error',
      from: { path: '^(bench|lab)/', pathNot: TESTS },
      to: { path: '^src/cli/' },
    },
    {
      name: 'no-cycles',
      comment: 'modules form no circle, type imports included',
      severity: 'error',
      from: { pathNot: MODEL },
      to: { circular: true },
    },
    {
      name: 'no-cycles-of-values',
      comment: 'modules of the model form no circle but of type imports',
      severity: 'error',
      // As in the kernel, a device points at its driver, bus and group, and these at their devices.
      from: { path: MODEL },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-unresolvable',
      comment: 'an import that leads nowhere hides what it would have shown',
      severity: 'error',
      from: {},
      // Examples import the package by its name, as users do.
      to: { couldNotResolve: true, pathNot: '(^|/)koffi(/|$)|^isogroup/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // Type imports count: a layer that names another layer's types depends on it.
    tsPreCompilationDeps: true,
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'default'],
      extensions: ['.ts', '.mjs', '.js', '.json'],
    },
  },
}
