/** The scenarios on models: both kernels, both kinds of IOMMU. */
import { describe, expect, it } from 'vitest'
import { type MachineText, type ModelMachine, openModel } from '../../open/model.ts'
import { groupOf } from '../group-of.ts'
import { limitOfMemory } from './memory.case.ts'
import { scenarios } from './scenarios.case.ts'
import { soak } from './soak.case.ts'
import type { AccessWorld } from './world.case.ts'

const EDU = ['0000:01:00.0', '0000:02:00.0'] as const

function machineOf(kernel: string, iommu: 'intel' | 'amd'): MachineText {
  const below = [{ kind: 'edu', driver: 'vfio-pci' }]
  return {
    ...{ kernel, iommu: { kind: iommu } },
    buses: [
      {
        devices: [
          { kind: 'root-port', below },
          { kind: 'root-port', below },
        ],
      },
    ],
  }
}

function worldOf(machine: ModelMachine): AccessWorld {
  const { kernel } = machine
  return { kernel, edu: EDU, faults: () => machine.faults().map(({ address }) => address) }
}

for (const kernel of ['6.1.0', '6.12.0']) {
  for (const iommu of ['intel', 'amd'] as const) {
    describe(`a program on the model of Linux ${kernel} with ${iommu}`, () => {
      it.each(scenarios.map((one) => [one.name, one] as const))('%s', async (_, { run }) => {
        const machine = await openModel(machineOf(kernel, iommu))
        await run(worldOf(machine))
        expect(machine.contexts().filter(({ use }) => use === 'user')).toEqual([])
      })

      it('leaves nothing behind in operations at random', async () => {
        const machine = await openModel(machineOf(kernel, iommu))
        let done = 0
        await soak(worldOf(machine), {
          ...{ operations: 5000, seed: 11 },
          progress: (count) => (done = count),
        })
        expect(done).toBe(5000)
        expect(machine.contexts().filter(({ use }) => use === 'user')).toEqual([])
      })

      it('tells the limit of locked memory, with the command that raises it', async () => {
        const machine = await openModel(machineOf(kernel, iommu))
        await machine.kernel.setOwner(`/dev/vfio/${groupOf(machine.kernel, EDU[0])}`, 1000, 1000)
        const user = machine.as({ uid: 1000, memlockLimit: 2 ** 20 })
        await limitOfMemory({ ...worldOf(machine), kernel: user })
      })
    })
  }
}
