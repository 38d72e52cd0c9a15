/** What is done very often leaves nothing: neither addresses, nor descriptors, nor memory. */
import { describe, expect, it } from 'vitest'
import { openModel } from '../open/model.ts'
import { openContext } from './open-context.ts'

const EDU = '0000:01:00.0'

async function machine() {
  const below = [{ kind: 'edu', driver: 'vfio-pci' }]
  return openModel({
    iommu: { kind: 'intel' },
    buses: [{ devices: [{ kind: 'root-port', below }] }],
  })
}

describe('a program that goes on for long', () => {
  it('maps 100,000 times, each time at the same free address', async () => {
    const { kernel } = await machine()
    const context = await openContext({ kernel }, [EDU])
    const memory = context.allocate(4096)
    const free = context.mappingsLeft
    const seen = new Set<number>()
    for (let n = 0; n < 100_000; n++) {
      const mapping = context.map(memory)
      seen.add(mapping.iova)
      context.unmap(mapping)
    }
    expect(seen.size).toBe(1)
    expect(context.mappingsLeft).toBe(free)
    await context.close()
    memory.release()
  })

  it('unmaps in any order, each mapping once', async () => {
    const { kernel } = await machine()
    const context = await openContext({ kernel }, [EDU])
    const free = context.mappingsLeft ?? 0
    const mappings = Array.from({ length: 5 }, () => context.map(context.allocate(4096)))
    for (const [gone, n] of [0, 4, 2, 1, 3].entries()) {
      const mapping = mappings[n]
      if (mapping === undefined) throw new Error('five were mapped')
      context.unmap(mapping)
      context.unmap(mapping)
      expect(context.mappings).not.toContain(mapping)
      expect(context.mappings.length).toBe(4 - gone)
      expect(context.mappingsLeft).toBe(free - 4 + gone)
    }
    await context.close()
  })

  it('opens and closes 1,000 times', async () => {
    const model = await machine()
    const { kernel } = model
    const before = kernel.list('/proc/self/fd')
    for (let n = 0; n < 1000; n++) {
      const context = await openContext({ kernel }, [EDU])
      context.map(context.allocate(4096))
      context.device(EDU).interrupts('msi')
      await context.close()
    }
    expect(kernel.list('/proc/self/fd')).toEqual(before)
    expect(model.contexts().filter(({ use }) => use === 'user')).toEqual([])
    expect(kernel.text('/proc/self/status')).toMatch(/^VmLck:\s+0 kB$/m)
  })
})
