/**
 * Serial consoles: a way into the host that needs neither network nor screen. The kernel's consoles are in
 * /sys/class/tty/console/active ("tty0 ttyS0"); a distribution runs a login on each (systemd, getty-generator).
 */
import { type Fact, known } from '../../base/fact.ts'
import type { KernelView } from '../../kernel/kernel.ts'
import { readLink, readText } from '../reading.ts'

export interface Console {
  /** "ttyS0" */
  readonly name: string
  readonly path: string
}

export function readConsoles(kernel: KernelView): Fact<readonly Console[]> {
  const active = readText(kernel, '/sys/class/tty/console/active')
  if (!active.known) return active
  const found: Console[] = []
  for (const name of (active.value ?? '').split(' ')) {
    // tty0 is screen and keyboard.
    if (name === '' || /^tty\d+$/.test(name)) continue
    const path = readLink(kernel, `/sys/class/tty/${name}`)
    if (!path.known) return path
    if (path.value !== null) found.push({ name, path: path.value })
  }
  return known(found)
}
