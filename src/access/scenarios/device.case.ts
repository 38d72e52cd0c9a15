/** Registers, interrupts and resets. */
import assert from 'node:assert/strict'
import { InterruptsClosedError } from '../interrupts.ts'
import {
  type AccessWorld,
  ACKNOWLEDGE,
  IDENTIFICATION,
  refused,
  REG,
  soon,
  withContext,
} from './world.case.ts'

const COMMAND = 0x04
export async function computes(world: AccessWorld): Promise<void> {
  await withContext(world, [world.edu[0]], async (context) => {
    const device = context.device(world.edu[0])
    assert.equal(device.config.read16(0), 0x1234)
    const bar = device.bar(0)
    assert.equal(bar.read32(REG.id), IDENTIFICATION)
    bar.write32(REG.inverted, 0x1234_5678)
    assert.equal(bar.read32(REG.inverted), ~0x1234_5678 >>> 0)
    device.enable()
    const vector = device.interrupts('msi').vector(0)
    bar.write32(REG.status, 0x80)
    bar.write32(REG.factorial, 5)
    assert.equal(await vector.next(), 1)
    assert.equal(bar.read32(REG.factorial), 120)
    assert.equal(bar.read32(REG.irqs), 1)
    bar.write32(ACKNOWLEDGE, 1)
    assert.equal(vector.take(), 0)
  })
}

export async function silentRegisters(world: AccessWorld): Promise<void> {
  await withContext(world, [world.edu[0]], async (context) => {
    const device = context.device(world.edu[0])
    const bar = device.bar(0)
    assert.equal(bar.read32(REG.id), IDENTIFICATION)
    device.config.write16(COMMAND, 0)
    await refused(() => bar.read32(REG.id), /do not answer: memory space is switched off/)
    device.enable({ dma: false })
    assert.equal(bar.read32(REG.id), IDENTIFICATION)
    assert.equal(device.config.read16(COMMAND) & 6, 2)
    if (device.canSleep) {
      device.sleep()
      await refused(() => bar.read32(REG.id), /low-power state/)
      device.wake()
      assert.equal(bar.read32(REG.id), IDENTIFICATION)
    }
    await refused(() => bar.read32(2), /no place in a region/)
    await refused(() => bar.read32(0.5), /no place in a region/)
    await refused(() => bar.read8(-1), /no place in a region/)
    await refused(() => bar.read32(bar.size), /no place in a region/)
    await refused(() => device.bar(3), /nothing behind base address register 3/)
  })
}

export async function resets(world: AccessWorld): Promise<void> {
  await withContext(world, [world.edu[0]], async (context) => {
    const device = context.device(world.edu[0])
    device.enable()
    assert.deepEqual(device.slot, [{ address: world.edu[0], group: context.groups[0] }])
    const bar = device.bar(0)
    bar.write32(REG.inverted, 1)
    if (!device.canReset) await refused(() => device.reset(), /has no reset of its function/)
    device.reset('slot')
    assert.equal(bar.read32(REG.id), IDENTIFICATION)
  })
}

export async function interruptPin(world: AccessWorld): Promise<void> {
  await withContext(world, [world.edu[0]], async (context) => {
    const device = context.device(world.edu[0])
    device.enable()
    const bar = device.bar(0)
    const interrupts = device.interrupts('intx')
    const vector = interrupts.vector(0)
    for (const bit of [1, 2]) {
      bar.write32(REG.raise, bit)
      while ((bar.read32(REG.irqs) & bit) === 0) await soon()
      // Taking it unmasks the pin: the device has to be quiet by then, or it comes again.
      bar.write32(ACKNOWLEDGE, bit)
      assert.equal(await vector.next(), 1)
    }
    assert.equal(vector.take(), 0)
    await refused(() => device.interrupts('intx', 2), /has 1 interrupts of kind intx/)
    await refused(() => interrupts.vector(1), /vector 1 of 1/)
  })
}

export async function endsLoops(world: AccessWorld): Promise<void> {
  await withContext(world, [world.edu[0]], async (context) => {
    const device = context.device(world.edu[0])
    device.enable()
    const interrupts = device.interrupts('msi')
    const seen: number[] = []
    const loop = (async () => {
      for await (const count of interrupts.vector(0)) seen.push(count)
    })()
    device.bar(0).write32(REG.raise, 8)
    while (seen.length === 0) await soon()
    device.bar(0).write32(ACKNOWLEDGE, 8)
    interrupts.close()
    await loop
    assert.deepEqual(seen, [1])
    await assert.rejects(interrupts.vector(0).next(), InterruptsClosedError)
    // The kind is free again.
    assert.equal(device.interrupts('msi').count, 1)
  })
}
