/**
 * Which functions show the host's screen.
 *
 *     boot_vga = 1              the firmware's primary graphics card (drivers/pci/vgaarb.c)
 *     /proc/iomem               the firmware's framebuffer, inside a BAR: "BOOTFB", "efifb", "simple-framebuffer".
 *                               It belongs to a platform driver, and unbinding the card's own does not free it
 *     vtconsole "frame buffer"  the text console is drawn by fbcon on a framebuffer of the card's own driver
 */
import { type Fact, known } from '../../base/fact.ts'
import type { DisplayUse } from '../../isolation/live-host.ts'
import type { KernelView } from '../../kernel/kernel.ts'
import { parseAddress } from '../../pci/address.ts'
import { readLink, readList, readText } from '../reading.ts'
import { isBelow } from './pci-path.ts'

export interface Displays {
  readonly framebuffers: readonly Framebuffer[]
  /** PCI functions in whose memory the firmware's framebuffer lies, with its name. */
  readonly firmware: ReadonlyMap<string, string>
  /** Whether the text console is drawn on a framebuffer. */
  readonly hasConsole: boolean
}

interface Framebuffer {
  /** "fb0 amdgpudrmfb" */
  readonly name: string
  readonly path: string
  readonly isFirmware: boolean
}

/** Names of the drivers that draw where the firmware drew (drivers/video/fbdev, drivers/gpu/drm/tiny). */
const FIRMWARE_NAME = /^(?:EFI VGA|VESA VGA|simple|simpledrm|efidrm|vesadrm|OFfb)/

export function readDisplays(kernel: KernelView): Fact<Displays> {
  const names = readList(kernel, '/sys/class/graphics')
  if (!names.known) return names
  const framebuffers: Framebuffer[] = []
  for (const entry of [...(names.value ?? [])].sort()) {
    if (!/^fb\d+$/.test(entry)) continue
    const path = readLink(kernel, `/sys/class/graphics/${entry}`)
    if (!path.known) return path
    const name = readText(kernel, `/sys/class/graphics/${entry}/name`)
    if (!name.known) return name
    const text = name.value ?? ''
    framebuffers.push({
      name: `${entry} ${text}`.trim(),
      path: path.value ?? '',
      isFirmware: FIRMWARE_NAME.test(text) || /framebuffer\.\d+\//.test(path.value ?? ''),
    })
  }
  const memory = readText(kernel, '/proc/iomem', 4 * 1024 * 1024)
  if (!memory.known) return memory
  const hasConsole = readConsole(kernel)
  if (!hasConsole.known) return hasConsole
  return known({
    framebuffers,
    firmware: firmwareFramebuffers(memory.value ?? ''),
    hasConsole: hasConsole.value,
  })
}

export function displaysOf(
  kernel: KernelView,
  address: string,
  { framebuffers, firmware, hasConsole }: Displays,
): Fact<readonly DisplayUse[]> {
  const bootVga = readText(kernel, `/sys/bus/pci/devices/${address}/boot_vga`)
  if (!bootVga.known) return bootVga
  const uses: DisplayUse[] = []
  const isBoot = bootVga.value === '1'
  if (isBoot) uses.push({ use: 'boot-display', name: address })
  const region = firmware.get(address)
  // Without a word in iomem, it is where the firmware's screen is.
  const drawn = framebuffers.filter(
    ({ isFirmware, path }) =>
      isFirmware &&
      (region !== undefined || isBelow(path, address) || (isBoot && firmware.size === 0)),
  )
  if (region !== undefined && drawn.length === 0) uses.push({ use: 'framebuffer', name: region })
  for (const { name } of drawn) uses.push({ use: 'framebuffer', name })
  const own = framebuffers.find((one) => !one.isFirmware && isBelow(one.path, address))
  if (own !== undefined && hasConsole) uses.push({ use: 'console', name: own.name })
  return known(uses)
}

const REGION = /^(\s*)[0-9a-f]+-[0-9a-f]+ : (.*)$/
const FIRMWARE_REGION = /^(?:BOOTFB|efifb|vesafb|simplefb|simple-framebuffer|simpledrm)/

/** Regions are nested by indentation; addresses read as zero without root, but names do not. */
function firmwareFramebuffers(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  const above: { depth: number; name: string }[] = []
  for (const line of text.split('\n')) {
    const [, indent, name] = REGION.exec(line) ?? []
    if (indent === undefined || name === undefined) continue
    const depth = indent.length
    while ((above.at(-1)?.depth ?? -1) >= depth) above.pop()
    const owner = above.findLast((one) => parseAddress(one.name) !== null)
    if (owner !== undefined && FIRMWARE_REGION.test(name)) found.set(owner.name, name)
    above.push({ depth, name })
  }
  return found
}

/** /sys/class/vtconsole/vtcon1: name "(M) frame buffer device", bind "1" (drivers/tty/vt/vt.c). */
function readConsole(kernel: KernelView): Fact<boolean> {
  const names = readList(kernel, '/sys/class/vtconsole')
  if (!names.known) return names
  for (const entry of names.value ?? []) {
    const dir = `/sys/class/vtconsole/${entry}`
    const name = readText(kernel, `${dir}/name`)
    if (!name.known) return name
    if (name.value?.includes('frame buffer') !== true) continue
    const bound = readText(kernel, `${dir}/bind`)
    if (!bound.known) return bound
    if (bound.value === '1') return known(true)
  }
  return known(false)
}
