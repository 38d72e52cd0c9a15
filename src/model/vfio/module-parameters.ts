/**
 * Parameters of the VFIO modules, from the kernel command line ("vfio-pci.disable_idle_d3=1") and through
 * /sys/module/<module>/parameters (kernel/params.c).
 */
import { Errno } from '../errno.ts'

export interface ModuleParameter {
  /** With underscores: "vfio_pci". */
  readonly module: string
  readonly name: string
  readonly mode: number
  /** With the newline, as the file shows it. */
  get(): string
  /** @throws Errno EINVAL, ERANGE */
  set(text: string): void
}

/** A parameter with its value. */
interface Setting<T> extends ModuleParameter {
  value: T
}

export interface VfioParameters {
  readonly allowUnsafeInterrupts: Setting<boolean>
  readonly dmaEntryLimit: Setting<number>
  readonly disableIdleD3: Setting<boolean>
  readonly disableDenylist: Setting<boolean>
  readonly enableSriov: Setting<boolean>
  readonly noIntxMask: Setting<boolean>
  /** "8086:10d3,..." of the command line; not in sysfs. */
  readonly ids: string
  /** disable_idle_d3 as it was when the module was loaded: only then does the driver look. */
  readonly idleD3: boolean
  readonly masksIntx: boolean
  /** Those with a file. */
  readonly all: readonly ModuleParameter[]
}

export function vfioParameters(commandLine: string): VfioParameters {
  const type1 = 'vfio_iommu_type1'
  const given = (module: string, name: string): string | undefined =>
    argument(commandLine, module, name)
  const flag = (module: string, name: string, mode: number): Setting<boolean> =>
    boolean(module, name, mode, given(module, name))
  const allowUnsafeInterrupts = flag(type1, 'allow_unsafe_interrupts', 0o644)
  const disableHugePages = flag(type1, 'disable_hugepages', 0o644)
  const dmaEntryLimit = unsigned(type1, 'dma_entry_limit', 65535, given(type1, 'dma_entry_limit'))
  const disableIdleD3 = flag('vfio_pci', 'disable_idle_d3', 0o644)
  const disableDenylist = flag('vfio_pci', 'disable_denylist', 0o444)
  const enableSriov = flag('vfio_pci', 'enable_sriov', 0o644)
  const noIntxMask = flag('vfio_pci', 'nointxmask', 0o644)
  return {
    allowUnsafeInterrupts,
    dmaEntryLimit,
    disableIdleD3,
    disableDenylist,
    enableSriov,
    noIntxMask,
    ids: given('vfio_pci', 'ids') ?? '',
    idleD3: !disableIdleD3.value,
    masksIntx: !noIntxMask.value,
    all: [
      allowUnsafeInterrupts,
      disableHugePages,
      dmaEntryLimit,
      disableDenylist,
      disableIdleD3,
      enableSriov,
      noIntxMask,
    ],
  }
}

/** Value of "module.name=value"; the last one wins, and - is as good as _. @returns "" for a bare name */
function argument(commandLine: string, module: string, name: string): string | undefined {
  let value: string | undefined
  for (const word of commandLine.split(/\s+/)) {
    const [key = '', ...rest] = word.split('=')
    if (key.replaceAll('-', '_') === `${module}.${name}`) value = rest.join('=')
  }
  return value
}

function boolean(
  module: string,
  name: string,
  mode: number,
  given: string | undefined,
): Setting<boolean> {
  const setting: Setting<boolean> = {
    module,
    name,
    mode,
    value: false,
    get: () => (setting.value ? 'Y\n' : 'N\n'),
    set: (text) => {
      setting.value = parseBoolean(text)
    },
  }
  // A bare name means yes; what is no boolean would keep the module from loading.
  if (given !== undefined) setting.value = given === '' || isTrue(given) === true
  return setting
}

function unsigned(
  module: string,
  name: string,
  initial: number,
  given: string | undefined,
): Setting<number> {
  const setting: Setting<number> = {
    module,
    name,
    mode: 0o644,
    value: initial,
    get: () => `${String(setting.value)}\n`,
    set: (text) => {
      setting.value = parseUnsigned(text)
    },
  }
  if (given !== undefined) setting.set(given)
  return setting
}

function parseBoolean(text: string): boolean {
  const value = isTrue(text)
  if (value === null) throw new Errno('EINVAL', `"${text}" is neither yes nor no`)
  return value
}

/** kstrtobool() */
function isTrue(text: string): boolean | null {
  if (/^([yt1]|on)/i.test(text)) return true
  if (/^([nf0]|of)/i.test(text)) return false
  return null
}

/** kstrtouint() with base 0. */
function parseUnsigned(text: string): number {
  const word = text.replace(/\n$/, '')
  const octal = /^\+?0[0-7]+$/.test(word)
  if (!octal && !/^\+?(0x[0-9a-f]+|\d+)$/i.test(word)) throw new Errno('EINVAL', `"${word}"`)
  const value = octal ? parseInt(word, 8) : Number(word)
  if (value > 0xffffffff) throw new Errno('ERANGE', `"${word}" does not fit 32 bits`)
  return value
}
