/**
 * Grouping in two formulations that share no code: the model puts device after device into groups, as the
 * kernel does; isolation/groups derives all groups at once from the registers.
 */
import { describe, expect, it } from 'vitest'
import { predictGroups } from '../isolation/groups/predict.ts'
import { rulesFor } from '../isolation/groups/rules.ts'
import type { HostSnapshot } from '../isolation/host.ts'
import { describeSnapshot } from '../isolation/snapshot.case.ts'
import { buildTopology } from '../isolation/topology/topology.ts'
import { createUnits } from '../model/iommu/units.ts'
import type { MachineDescription } from '../model/machine/description.ts'
import { type KernelParts, kernelParts } from '../model/machine/kernel-parts.ts'
import { PciDevice } from '../model/pci/pci-device.ts'
import { enableSriov } from '../model/pci/sriov.ts'
import { runNow } from '../model/task.ts'
import { hex } from '../pci/address.ts'
import { decodeConfig } from '../pci/config-decode.ts'
import { randomMachine } from './random-machine.case.ts'

/** ISOGROUP_MACHINES and ISOGROUP_SEED look at more and at others. */
const MACHINES = Number(process.env['ISOGROUP_MACHINES'] ?? 10_000)
const FIRST_SEED = Number(process.env['ISOGROUP_SEED'] ?? 0)

/** As machine/boot.ts does it, without drivers: they change no group. */
function formGroups(machine: MachineDescription): KernelParts {
  const parts = kernelParts(machine)
  const { context, pci, iommu } = parts
  runNow(pci.scan())
  if (machine.iommu === null) throw new Error('a machine without groups')
  for (const unit of createUnits(context, machine.iommu)) iommu.registerUnit(unit, [pci.bus])
  for (const { at, virtualFunctions = [] } of machine.functions) {
    const device = pci.device(at)
    if (device === undefined || virtualFunctions.length === 0) continue
    runNow(enableSriov(pci, device, virtualFunctions.length))
  }
  return parts
}

function devicesOf({ pci }: KernelParts): readonly PciDevice[] {
  return [...pci.bus.devices.values()].filter((device) => device instanceof PciDevice)
}

/** What the model's registers tell, without a detour through its files: there are many machines. */
function snapshotOf(parts: KernelParts): HostSnapshot {
  return describeSnapshot({
    kernel: parts.machine.kernelRelease,
    hostedBuses: parts.machine.hostedBuses,
    functions: devicesOf(parts).map((device) => ({
      at: device.name,
      parent: bridgeAbove(device),
      ids: `${hex(device.vendor, 4)}:${hex(device.device, 4)}`,
      subsystem: `${hex(device.subsystemVendor, 4)}:${hex(device.subsystemDevice, 4)}`,
      classCode: device.classCode,
      group: device.iommuGroup === null ? null : String(device.iommuGroup.id),
      physicalFunction: device.physicalFunction?.name ?? null,
      config: decodeConfig(device.hardware.config.snapshot(), true),
    })),
  })
}

/** Buses of virtual functions have no bridge of their own. */
function bridgeAbove({ pciBus }: PciDevice): string | null {
  for (let bus: typeof pciBus | null = pciBus; bus !== null; bus = bus.parent) {
    if (bus.bridge !== null) return bus.bridge.name
  }
  return null
}

type Groups = readonly string[]

function formed({ iommu }: KernelParts): Groups {
  return normal([...iommu.groups.values()].map(({ members }) => members.map(({ name }) => name)))
}

function predicted(snapshot: HostSnapshot): Groups {
  const { groups } = predictGroups(buildTopology(snapshot), snapshot, rulesFor(snapshot, null))
  return normal(groups.map(({ devices }) => devices))
}

function normal(groups: readonly (readonly string[])[]): Groups {
  return groups.map((members) => [...members].sort().join(' ')).sort()
}

describe('two formulations of grouping', () => {
  it(`give the same partition on ${String(MACHINES)} random machines`, () => {
    const count = { functions: 0, virtual: 0, shared: 0, hosted: 0 }
    const time = { make: 0, boot: 0, snap: 0, predict: 0 }
    for (let seed = FIRST_SEED; seed < FIRST_SEED + MACHINES; seed++) {
      const a = performance.now()
      const machine = randomMachine(seed)
      const b = performance.now()
      const parts = formGroups(machine)
      const c = performance.now()
      const snapshot = snapshotOf(parts)
      const d = performance.now()
      const groups = formed(parts)
      const wanted = predicted(snapshot)
      // Comparing lists with `expect` would take longer than all the rest.
      if (groups.join() !== wanted.join()) {
        expect({ seed, groups }).toEqual({ seed, groups: wanted })
      }
      const e = performance.now()
      time.make += b - a
      time.boot += c - b
      time.snap += d - c
      time.predict += e - d
      count.functions += snapshot.functions.length
      count.virtual += devicesOf(parts).filter((one) => one.physicalFunction !== null).length
      count.shared += groups.filter((members) => members.includes(' ')).length
      count.hosted += machine.hostedBuses.length
    }
    console.log(count, time, process.cpuUsage())
  }, 240_000)
})
