import { describe, expect, it } from 'vitest'
import { BareFunction } from './bare-function.case.ts'
import { pciExpress } from './capabilities.ts'
import { buildConfig } from './config-build.ts'
import { configSpace } from './config-space.ts'
import { trainLinks } from './link-training.ts'
import { Slots } from './slots.ts'

const ROOT_PORT = 4
const SPEED_AND_WIDTH = 0x3ff

/** A function whose link is able and says as much: speed in bits 0-3, width from bit 4 on. */
function linked(type: number, capabilities: number, status: number): BareFunction {
  const config = configSpace(
    buildConfig({
      ...{ vendor: 0x8086, device: 0x10d3, classCode: 0x020000, headerType: type === 0 ? 0 : 1 },
      capabilities: [pciExpress({ type })],
    }),
    [],
  )
  const at = config.capability(0x10)
  config.poke(at + 0x0c, 4, capabilities)
  config.poke(at + 0x12, 2, status)
  return new BareFunction(config)
}

describe('trainLinks()', () => {
  it('shows at the port what it agreed on with the card, as long as the card is there', () => {
    const slots = new Slots()
    const port = linked(ROOT_PORT, 0x205, 0x2205)
    slots.plug(port, slots.addRoot('0000:00'), 8)
    trainLinks(slots)
    const status = (): number => port.config.read(port.config.capability(0x10) + 0x12, 2)
    const narrow = linked(0, 0x11, 0x11)
    slots.plug(narrow, slots.below(port), 0)
    expect(status()).toBe(0x2011)
    slots.unplug(narrow)
    expect(status()).toBe(0x2205)
    slots.plug(linked(0, 0x306, 0x306), slots.below(port), 0)
    expect(status() & SPEED_AND_WIDTH).toBe(0x205)
  })

  it('leaves links alone that were there before, and buses that are none', () => {
    const slots = new Slots()
    const port = linked(ROOT_PORT, 0x205, 0x2205)
    const root = slots.addRoot('0000:00')
    slots.plug(port, root, 8)
    slots.plug(linked(0, 0x11, 0x11), slots.below(port), 0)
    trainLinks(slots)
    slots.plug(linked(0, 0x11, 0x11), slots.below(port), 1)
    slots.plug(linked(0, 0x11, 0x11), root, 16)
    expect(port.config.read(port.config.capability(0x10) + 0x12, 2)).toBe(0x2205)
  })
})
