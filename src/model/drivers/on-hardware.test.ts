import { describe, expect, it } from 'vitest'
import { registerDriver, releaseDriver } from '../driver-core/bind.ts'
import { deviceTemplate } from '../hardware/devices/catalogue.ts'
import { Fabric } from '../hardware/fabric.ts'
import { DmaApi } from '../iommu/dma-api.ts'
import { testContext } from '../iommu/fake-unit.case.ts'
import { IommuCore } from '../iommu/iommu-core.ts'
import type { IommuUnit } from '../iommu/unit.ts'
import { createUnits } from '../iommu/units.ts'
import type { FunctionDescription, IommuDescription } from '../machine/description.ts'
import { plugMachine } from '../machine/plug-machine.ts'
import type { PciDevice } from '../pci/pci-device.ts'
import { PciSubsystem } from '../pci/pci-subsystem.ts'
import { disableSriov, enableSriov } from '../pci/sriov.ts'
import { runNow } from '../task.ts'
import { knownDrivers } from './known.ts'

const IOMMU: IommuDescription = {
  kind: 'intel',
  interruptRemapping: true,
  units: [{ name: 'dmar0', attributes: {}, scope: null }],
  defaultDomain: 'DMA-FQ',
  reserved: [],
}

function fn(at: string, kind: string, parent: string | null = null): FunctionDescription {
  const template = deviceTemplate(kind, { multifunction: at === '0000:02:00.0' })
  if (template === undefined) throw new Error(kind)
  return { ...template, at, parent }
}

/** Ports with a disk and a two-function card below, scanned and driven, everything by real parts. */
function booted(iommu: IommuDescription | null) {
  const context = testContext()
  const { slots } = plugMachine({
    name: 'test',
    title: 'test',
    kernelRelease: context.release,
    commandLine: '',
    cpu: { vendor: 'GenuineIntel', flags: [] },
    acpiTables: [],
    memoryBytes: 2 ** 26,
    iommu,
    functions: [
      fn('0000:00:01.0', 'root-port'),
      fn('0000:01:00.0', 'nvme', '0000:00:01.0'),
      fn('0000:00:02.0', 'root-port'),
      fn('0000:02:00.0', 'nic', '0000:00:02.0'),
      fn('0000:02:00.1', 'nic', '0000:00:02.0'),
    ],
    hostedBuses: [],
    drivers: [],
    names: {},
  })
  const core = new IommuCore(context)
  const pci = new PciSubsystem(context, slots, { dma: core, requestsAcs: true })
  const units: IommuUnit[] = []
  const fabric = new Fabric(slots, context.memory, () => units[0]?.hardware ?? null)
  const dma = new DmaApi(context, core)
  runNow(pci.scan())
  if (iommu !== null) {
    units.push(...createUnits(context, iommu))
    for (const unit of units) core.registerUnit(unit, [pci.bus])
    fabric.rewired()
  }
  const drivers = knownDrivers({
    context,
    bus: pci.bus,
    dma,
    describe: () => undefined,
    enableSriov: (device, count) => enableSriov(pci, device, count),
    disableSriov: (device) => disableSriov(pci, device),
  })
  for (const driver of drivers) runNow(registerDriver(context, driver))
  const device = (at: string): PciDevice => {
    const found = pci.device(at)
    if (found === undefined) throw new Error(`no ${at}`)
    return found
  }
  return { context, units, device }
}

describe('drivers on real hardware', () => {
  it.each([null, IOMMU])('find their controllers by DMA with IOMMU %#', (iommu) => {
    const { device, units } = booted(iommu)
    expect(device('0000:00:01.0').driver?.name).toBe('pcieport')
    expect(device('0000:01:00.0').driver?.name).toBe('nvme')
    expect(device('0000:02:00.1').driver?.name).toBe('e1000e')
    expect(units.flatMap((unit) => unit.hardware.faults)).toEqual([])
  })

  it('share one domain in a group, and a released device is blocked with a fault', () => {
    const { context, device, units } = booted(IOMMU)
    const [a, b] = [device('0000:02:00.0'), device('0000:02:00.1')]
    expect(a.iommuGroup).toBe(b.iommuGroup)
    expect(a.iommuGroup?.ownerCount).toBe(2)
    runNow(releaseDriver(context, a))
    // Somebody forgets to stop the device: it masters the bus again and reads where its ring was.
    const { hardware } = a
    hardware.config.write(4, 2, 6)
    hardware.writeBar(0, 0x3808, 4, 128)
    hardware.writeBar(0, 0x3800, 4, 0x7fff0000)
    hardware.writeBar(0, 0x3818, 4, 1)
    hardware.writeBar(0, 0x400, 4, 2)
    hardware.advance()
    expect(hardware.busy).toBe(false)
    expect(units[0]?.hardware.faults.at(-1)).toMatchObject({ requester: 0x200, page: 0x7fff0 })
  })

  it('leave no page of memory behind', () => {
    const { context, device } = booted(null)
    const before = context.memory.usedPages
    runNow(releaseDriver(context, device('0000:01:00.0')))
    runNow(releaseDriver(context, device('0000:02:00.0')))
    expect(before - context.memory.usedPages).toBe(5)
  })
})
