/**
 * Keyboards, and behind which function they are plugged in: /proc/bus/input/devices, a block for each.
 *
 *     N: Name="Logitech USB Keyboard"
 *     S: Sysfs=/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/0003:046D:C31C.0001/input/input5
 *     H: Handlers=sysrq kbd leds event5
 *     B: KEY=1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe
 *
 * Power buttons and remote controls have the kbd handler too. As udev does, only what has all keys of the first
 * rows (codes 1 to 31) counts. Keyboards made by programs (/devices/virtual) are no way in by themselves.
 */
import { type Fact, known } from '../../base/fact.ts'
import type { KeyboardUse } from '../../isolation/live-host.ts'
import type { KernelView } from '../../kernel/kernel.ts'
import { readText } from '../reading.ts'
import { isBelow, isPhysical } from './pci-path.ts'

export interface Keyboard {
  /** "event5"; the name in words where it has no such file. */
  readonly name: string
  readonly path: string
}

/** KEY_ESC to KEY_S: udev, builtin/udev-builtin-input_id.c. */
const FIRST_ROWS = 0xfffffffen

export function readKeyboards(kernel: KernelView): Fact<readonly Keyboard[]> {
  // A kernel without input devices has no such file.
  const text = readText(kernel, '/proc/bus/input/devices')
  if (!text.known) return text
  return known((text.value ?? '').split('\n\n').flatMap(parseKeyboard))
}

function parseKeyboard(block: string): readonly Keyboard[] {
  const path = /^S: Sysfs=(.*)$/m.exec(block)?.[1]
  const handlers = /^H: Handlers=(.*)$/m.exec(block)?.[1] ?? ''
  // Words from the highest to the lowest.
  const lowest = /^B: KEY=(?:.* )?([0-9a-f]+) ?$/m.exec(block)?.[1]
  if (path === undefined || lowest === undefined || !handlers.split(' ').includes('kbd')) return []
  if ((BigInt(`0x${lowest}`) & FIRST_ROWS) !== FIRST_ROWS || !isPhysical(path)) return []
  const event = /\b(event\d+)\b/.exec(handlers)?.[1]
  const name = event ?? /^N: Name="(.*)"$/m.exec(block)?.[1] ?? 'keyboard'
  return [{ name, path }]
}

export function keyboardsOf(address: string, keyboards: readonly Keyboard[]): KeyboardUse {
  return {
    here: keyboards.filter(({ path }) => isBelow(path, address)).map(({ name }) => name),
    elsewhere: keyboards.filter(({ path }) => !isBelow(path, address)).map(({ name }) => name),
  }
}
