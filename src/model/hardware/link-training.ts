/**
 * What the two ends of a link agree on when a card is put in: the lower of their speeds and widths, which
 * the port above shows in its Link Status register (PCI Express Base Specification 7.5.3.8). Of an empty
 * port the register says nothing; it then holds again what it held before.
 */
import { CAPABILITY } from '../../pci/config-facts.ts'
import type { ConfigSpace } from './config-space.ts'
import type { HardwareFunction } from './function.ts'
import type { Slots } from './slots.ts'

const LINK_CAPABILITIES = 0x0c
const LINK_STATUS = 0x12
const SPEED = 0xf
const WIDTH = 0x3f0

/** Follows all that is plugged from now on: what sat in its slot before has its link. */
export function trainLinks(slots: Slots): void {
  const before = new Map<
    HardwareFunction,
    { readonly port: ConfigSpace; readonly status: number }
  >()
  slots.onChange((fn, plugged) => {
    const trained = before.get(fn)
    if (!plugged) {
      if (trained !== undefined) setStatus(trained.port, trained.status)
      before.delete(fn)
      return
    }
    const place = slots.place(fn)
    const port = place?.bus.bridge?.config
    // Function 0 stands for the card.
    if (port === undefined || place?.devfn !== 0) return
    const status = agreed(port, fn.config)
    if (status === null) return
    before.set(fn, { port, status: linkRegister(port, LINK_STATUS, 2) })
    setStatus(port, status)
  })
}

/** Null where one of them is no end of a link. */
function agreed(port: ConfigSpace, card: ConfigSpace): number | null {
  const { pciExpress } = CAPABILITY
  if (port.capability(pciExpress) === 0 || card.capability(pciExpress) === 0) return null
  const status = linkRegister(card, LINK_STATUS, 2)
  const able = linkRegister(port, LINK_CAPABILITIES, 4)
  const lower = (mask: number): number => Math.min(status & mask, able & mask)
  const others = linkRegister(port, LINK_STATUS, 2) & ~(SPEED | WIDTH)
  return others | lower(SPEED) | lower(WIDTH)
}

function linkRegister(config: ConfigSpace, offset: number, size: 2 | 4): number {
  return config.read(config.capability(CAPABILITY.pciExpress) + offset, size)
}

function setStatus(port: ConfigSpace, status: number): void {
  port.poke(port.capability(CAPABILITY.pciExpress) + LINK_STATUS, 2, status)
}
