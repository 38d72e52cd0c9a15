/** Whatever the kernel refuses, whenever: an answer in words, and nothing is left open, mapped or locked. */
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { IsogroupError } from '../base/errors.ts'
import { type Kernel, KernelError } from '../kernel/kernel.ts'
import { type ModelMachine, openModel } from '../open/model.ts'
import { DeviceRemovedError } from './device-removed-error.ts'
import { type FailingKernel, failingKernel, type Fate } from './failing-kernel.case.ts'
import { openContext } from './open-context.ts'

const EDU = ['0000:01:00.0', '0000:02:00.0'] as const
const ERRNOS = ['EIO', 'EBUSY', 'EINVAL', 'ENOMEM', 'EPERM', 'ENODEV', 'ENOSPC', 'EMFILE', 'ENOTTY']

let machine: ModelMachine

beforeEach(async () => {
  const below = [{ kind: 'edu', driver: 'vfio-pci' }]
  const port = { kind: 'root-port', below }
  machine = await openModel({ iommu: { kind: 'intel' }, buses: [{ devices: [port, port] }] })
})

/** Some of everything. */
async function program(kernel: Kernel): Promise<void> {
  const context = await openContext({ kernel }, [EDU[0]])
  try {
    const device = context.device(EDU[0])
    device.enable()
    const interrupts = device.interrupts('msi')
    const memory = context.allocate(8192)
    const mapping = context.map([memory.part(4096, 4096), memory.part(0, 4096)], { below: 2 ** 28 })
    await context.addGroup(EDU[1])
    const bar = device.bar(0)
    bar.write64(0x80, 0x4_0000n)
    bar.write64(0x88, BigInt(mapping.iova))
    bar.write64(0x90, 16n)
    bar.write32(0x98, 7)
    await interrupts.vector(0).next()
    bar.write32(0x64, bar.read32(0x24))
    context.unmap(mapping)
    device.reset('slot')
    await context.removeGroup(EDU[0])
    context.map(memory)
  } finally {
    await context.close()
  }
}

/** @returns what the program ended with, when it was an answer */
async function endOf(kernel: FailingKernel): Promise<string> {
  try {
    await program(kernel)
    return 'done'
  } catch (cause) {
    const answers = [IsogroupError, KernelError, DeviceRemovedError, RangeError]
    if (!answers.some((kind) => cause instanceof kind)) throw cause
    return cause instanceof Error ? cause.name : ''
  }
}

function expectNothingLeft(kernel: Kernel): void {
  expect(kernel.list('/proc/self/fd')).toHaveLength(3)
  expect(kernel.text('/proc/self/status')).toMatch(/^VmLck:\s+0 kB$/m)
  expect(machine.contexts().filter(({ use }) => use === 'user')).toEqual([])
}

describe('a program whose kernel says no', () => {
  it.each(ERRNOS)('with %s, at every call in turn', async (code) => {
    const { calls } = await runWith(() => null)
    expect(calls).toBeGreaterThan(45)
    let answered = 0
    for (let at = 0; at < calls; at++) {
      const { end } = await runWith((n) => (n === at ? code : null))
      if (end !== 'done') answered += 1
    }
    expect(answered).toBeGreaterThan(calls / 3)
    expect((await runWith(() => null)).end).toBe('done')
  })

  it('at random, several times in a row', async () => {
    const fates = fc.array(fc.record({ after: fc.nat(40), code: fc.constantFrom(...ERRNOS) }), {
      minLength: 1,
      maxLength: 5,
    })
    await fc.assert(
      fc.asyncProperty(fates, async (list) => {
        const at = new Map<number, string>()
        let sum = 0
        for (const { after, code } of list) at.set((sum += after), code)
        await runWith((n) => at.get(n) ?? null)
      }),
      { numRuns: 300 },
    )
    expect((await runWith(() => null)).end).toBe('done')
  })

  async function runWith(fate: Fate): Promise<{ end: string; calls: number }> {
    const process = machine.as({ uid: 0 })
    const kernel = failingKernel(process, fate)
    const end = await endOf(kernel)
    expectNothingLeft(process)
    await process.kill()
    return { end, calls: kernel.calls }
  }
})
