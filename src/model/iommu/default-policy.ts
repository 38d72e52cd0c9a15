/**
 * Which type default domains have unless a device insists on another: iommu_subsys_init() and the
 * kernel arguments around it (drivers/iommu/iommu.c, arch/x86/kernel/pci-dma.c, intel/iommu.c, amd/init.c).
 *
 *     identity   DMA addresses are physical ones; fast, and no protection from kernel-driven devices
 *     DMA        every buffer is mapped while in use; unmapping waits for the IOTLB ("strict")
 *     DMA-FQ     as DMA, but the IOTLB is flushed later, for many unmaps at once ("lazy")
 */

export type DefaultType = 'DMA' | 'DMA-FQ' | 'identity'

export interface DefaultPolicy {
  readonly type: DefaultType
  /** What the kernel logs about it. */
  readonly messages: readonly string[]
}

interface Settings {
  passthrough: boolean
  passthroughFromArgument: boolean
  strict: boolean
  strictFromArgument: boolean
}

/**
 * @param commandLine as /proc/cmdline has it
 * @param configured what the kernel was built with (CONFIG_IOMMU_DEFAULT_*)
 */
export function defaultPolicy(commandLine: string, configured: DefaultType): DefaultPolicy {
  const settings: Settings = {
    passthrough: configured === 'identity',
    passthroughFromArgument: false,
    strict: configured === 'DMA',
    strictFromArgument: false,
  }
  const warnings = commandLine.split(/\s+/).flatMap((argument) => apply(argument, settings))
  return { type: typeOf(settings), messages: [...warnings, ...describe(settings)] }
}

function typeOf({ passthrough, strict }: Settings): DefaultType {
  if (passthrough) return 'identity'
  return strict ? 'DMA' : 'DMA-FQ'
}

function describe(settings: Settings): string[] {
  const { passthrough, passthroughFromArgument, strict, strictFromArgument } = settings
  const by = (fromArgument: boolean): string =>
    fromArgument ? ' (set via kernel command line)' : ''
  const type = passthrough ? 'Passthrough' : 'Translated'
  const messages = [`iommu: Default domain type: ${type}${by(passthroughFromArgument)}`]
  if (!passthrough) {
    const mode = strict ? 'strict' : 'lazy'
    messages.push(
      `iommu: DMA domain TLB invalidation policy: ${mode} mode${by(strictFromArgument)}`,
    )
  }
  return messages
}

/** Applies one kernel argument; the last of several wins. @returns warnings */
function apply(argument: string, settings: Settings): string[] {
  const equals = argument.indexOf('=')
  if (equals === -1) return []
  const value = argument.slice(equals + 1)
  const words = value.split(',')
  const starts = (prefix: string): boolean => words.some((word) => word.startsWith(prefix))
  switch (argument.slice(0, equals)) {
    case 'iommu.passthrough':
      setPassthrough(settings, truth(value))
      return []
    case 'iommu.strict':
      settings.strict = truth(value) ?? settings.strict
      settings.strictFromArgument ||= truth(value) !== null
      return []
    case 'iommu':
      for (const word of words) {
        if (word.startsWith('pt')) setPassthrough(settings, true)
        else if (word.startsWith('nopt')) setPassthrough(settings, false)
      }
      return []
    case 'intel_iommu':
      if (!starts('strict')) return []
      settings.strict = true
      return ['DMAR: intel_iommu=strict deprecated; use iommu.strict=1 instead']
    case 'amd_iommu':
      if (!starts('fullflush')) return []
      settings.strict = true
      return ['AMD-Vi: amd_iommu=fullflush deprecated; use iommu.strict=1 instead']
    default:
      return []
  }
}

function setPassthrough(settings: Settings, on: boolean | null): void {
  if (on === null) return
  settings.passthrough = on
  settings.passthroughFromArgument = true
}

/** kstrtobool(): the first letter decides, after "o" the second; null = not understood, ignored. */
function truth(text: string): boolean | null {
  if (/^([yt1]|on)/i.test(text)) return true
  if (/^([nf0]|of)/i.test(text)) return false
  return null
}
