import { describe, expect, it } from 'vitest'
import { known } from '../../base/fact.ts'
import type { DeviceUsage } from '../../isolation/live-host.ts'
import { readMemlockOf } from './memory-limit.ts'
import { NOBODY, type Paper, paperKernel, papers } from './paper-kernel.case.ts'
import { readUsage } from './usage.ts'

const GPU = '0000:01:00.0'
const USB = '0000:00:14.0'

function usageOf(address: string, ...parts: readonly Paper[]): DeviceUsage {
  const [usage] = readUsage(paperKernel(papers(...parts)), [address], NOBODY)
  if (usage === undefined) throw new Error('no usage')
  return usage
}

function framebuffer(name: string, at: string): Paper {
  return {
    files: { '/sys/class/graphics/fb0/name': `${name}\n` },
    links: { '/sys/class/graphics/fb0': `../../devices/${at}/graphics/fb0` },
  }
}

const BOOT: Paper = { files: { [`/sys/bus/pci/devices/${GPU}/boot_vga`]: '1\n' } }
const CONSOLE: Paper = {
  files: {
    '/sys/class/vtconsole/vtcon0/name': '(S) dummy device\n',
    '/sys/class/vtconsole/vtcon0/bind': '0\n',
    '/sys/class/vtconsole/vtcon1/name': '(M) frame buffer device\n',
    '/sys/class/vtconsole/vtcon1/bind': '1\n',
  },
}
/** As an ordinary user sees it: without addresses. */
const IOMEM = `00000000-00000000 : PCI Bus 0000:00
  00000000-00000000 : PCI Bus 0000:01
    00000000-00000000 : ${GPU}
      00000000-00000000 : BOOTFB
    00000000-00000000 : 0000:01:00.1
`

describe('displays of a function', () => {
  it('are the one that the firmware started', () => {
    expect(usageOf(GPU, BOOT).displays).toEqual(known([{ use: 'boot-display', name: GPU }]))
    expect(usageOf(USB, BOOT).displays).toEqual(known([]))
  })

  it("are the firmware's framebuffer in its memory, by /proc/iomem", () => {
    const fb = framebuffer('simpledrmdrmfb', 'platform/simple-framebuffer.0')
    const memory = { files: { '/proc/iomem': IOMEM } }
    expect(usageOf(GPU, fb, memory).displays).toEqual(
      known([{ use: 'framebuffer', name: 'fb0 simpledrmdrmfb' }]),
    )
    expect(usageOf('0000:01:00.1', fb, memory).displays).toEqual(known([]))
    // Still claimed in memory although nothing draws there.
    expect(usageOf(GPU, memory).displays).toEqual(known([{ use: 'framebuffer', name: 'BOOTFB' }]))
  })

  it("are the firmware's framebuffer of the boot display where /proc/iomem has no word of it", () => {
    const fb = framebuffer('EFI VGA', 'platform/efi-framebuffer.0')
    expect(usageOf(GPU, BOOT, fb).displays).toEqual(
      known([
        { use: 'boot-display', name: GPU },
        { use: 'framebuffer', name: 'fb0 EFI VGA' },
      ]),
    )
  })

  it('are the console drawn by its own driver, which ends with the driver', () => {
    const own = framebuffer('amdgpudrmfb', `pci0000:00/0000:00:01.0/${GPU}`)
    expect(usageOf(GPU, own, CONSOLE).displays).toEqual(
      known([{ use: 'console', name: 'fb0 amdgpudrmfb' }]),
    )
    expect(usageOf(GPU, own).displays).toEqual(known([]))
  })

  it('are unknown when they cannot be read', () => {
    expect(usageOf(GPU, { files: { '/proc/iomem': '!EACCES' } }).displays.known).toBe(false)
  })
})

const KEYS = 'B: KEY=1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe'

function input(name: string, sysfs: string, event: number, keys: string): string {
  return `N: Name="${name}"\nS: Sysfs=${sysfs}\nH: Handlers=sysrq kbd leds event${String(event)} \n${keys}\n\n`
}

describe('keyboards', () => {
  const usb = input('USB Keyboard', `/devices/pci0000:00/${USB}/usb1/1-2/input/input5`, 5, KEYS)
  const ps2 = input('AT Keyboard', '/devices/platform/i8042/serio0/input/input2', 2, KEYS)
  const button = input(
    'Power Button',
    '/devices/LNXSYSTM:00/input/input0',
    0,
    'B: KEY=10000000000000 0',
  )
  const uinput = input('ydotoold', '/devices/virtual/input/input9', 9, KEYS)
  const devices = (text: string): Paper => ({ files: { '/proc/bus/input/devices': text } })

  it('are told apart by where they are plugged in; buttons and virtual ones are none', () => {
    expect(usageOf(USB, devices(usb + ps2 + button + uinput)).keyboards).toEqual(
      known({ here: ['event5'], elsewhere: ['event2'] }),
    )
    expect(usageOf(USB, devices(usb + button + uinput)).keyboards).toEqual(
      known({ here: ['event5'], elsewhere: [] }),
    )
    expect(usageOf(GPU, devices(usb)).keyboards).toEqual(known({ here: [], elsewhere: ['event5'] }))
  })

  it('are none on a kernel without input devices, and unknown when unreadable', () => {
    expect(usageOf(USB).keyboards).toEqual(known({ here: [], elsewhere: [] }))
    expect(usageOf(USB, devices('!EACCES')).keyboards.known).toBe(false)
  })
})

describe('virtual functions', () => {
  const dir = `/sys/bus/pci/devices/${GPU}`
  const sriov = (count: number, links: Record<string, string>): Paper => ({
    files: {
      [`${dir}/sriov_totalvfs`]: '7\n',
      [`${dir}/sriov_numvfs`]: `${String(count)}\n`,
      [`${dir}/sriov_drivers_autoprobe`]: '1\n',
    },
    links,
  })

  it('are listed, and unknown when some that are on were not found', () => {
    const one = { [`${dir}/virtfn0`]: '../0000:01:10.0' }
    expect(usageOf(GPU, sriov(1, one)).virtualFunctions).toEqual(known(['0000:01:10.0']))
    expect(usageOf(GPU, sriov(2, one)).virtualFunctions.known).toBe(false)
    expect(usageOf(GPU, sriov(0, {})).virtualFunctions).toEqual(known([]))
    expect(usageOf(GPU).virtualFunctions).toEqual(known([]))
  })
})

describe('readMemlockOf()', () => {
  const process = (pid: string, uid: number, soft: string): Paper => ({
    files: {
      [`/proc/${pid}/status`]: `Name:\tx\nUid:\t${String(uid)}\t${String(uid)}\t0\t0\n`,
      [`/proc/${pid}/limits`]: `Max locked memory         ${soft}              unlimited            bytes\n`,
    },
  })
  const kernel = paperKernel(
    papers(
      process('1', 0, 'unlimited'),
      process('20', 1000, '8388608'),
      process('21', 1000, '67108864'),
      process('30', 1001, '!'),
      { files: { '/proc/30/limits': '!EACCES' } },
    ),
  )

  it("is the most that one of the user's programs may", () => {
    expect(readMemlockOf(kernel, 1000)).toEqual(known(67108864))
    expect(readMemlockOf(kernel, 0)).toEqual(known(null))
  })

  it('is unknown when the user runs nothing, or nothing that may be looked at', () => {
    expect(readMemlockOf(kernel, 100).known).toBe(false)
    expect(readMemlockOf(kernel, 1001).known).toBe(false)
  })
})
