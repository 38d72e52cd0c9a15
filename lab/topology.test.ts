import { describe, expect, it } from 'vitest'
import { fixedIommus, fixedMachine } from './machines.ts'
import { reservedSlots } from './qemu.ts'
import { randomTopology } from './random-topology.ts'
import {
  bridge,
  describeTopology,
  endpoint,
  pcieSwitch,
  type Piece,
  rootPort,
  type Slot,
  slotOf,
  type Topology,
  topologyArguments,
  withoutAcs,
} from './topology.ts'

function devices(slots: readonly Slot[]): readonly string[] {
  return topologyArguments({ slots, extraRootBuses: [] }).filter((word) => word !== '-device')
}

function allPieces(slots: readonly Slot[]): readonly Piece[] {
  return slots.flatMap((slot) => {
    return slot.functions.flatMap((piece) => {
      return piece.kind === 'bridge' ? [piece, ...allPieces(piece.below)] : [piece]
    })
  })
}

const randomMachines = Array.from({ length: 300 }, (_, seed) => {
  return randomTopology(seed, seed % 3 === 0 ? 'amd-iommu' : 'intel-iommu')
})

describe('topologyArguments', () => {
  it('puts a device below its port, with a chassis for the port', () => {
    expect(devices([slotOf(1, rootPort(endpoint('edu')))])).toEqual([
      'pcie-root-port,id=d1,bus=pcie.0,addr=0x1.0,chassis=1,io-reserve=0',
      'edu,id=d2,bus=d1,addr=0x0.0',
    ])
  })

  it('takes ACS away, and leaves the I/O window to ports that need one', () => {
    expect(devices([slotOf(0x12, withoutAcs(rootPort(endpoint('e1000e'))))])).toEqual([
      'pcie-root-port,id=d1,bus=pcie.0,addr=0x12.0,chassis=1,disable-acs=on',
      'e1000e,id=d2,bus=d1,addr=0x0.0,romfile=',
    ])
  })

  it('marks the first function of several, or every one', () => {
    const pair = slotOf(2, endpoint('edu'), endpoint('edu'))
    expect(devices([pair])).toEqual([
      'edu,id=d1,bus=pcie.0,addr=0x2.0,multifunction=on',
      'edu,id=d2,bus=pcie.0,addr=0x2.1',
    ])
    const every = devices([{ ...pair, multifunctionBit: 'every' }])
    expect(every.every((device) => device.endsWith('multifunction=on'))).toBe(true)
  })

  it('builds a switch from an upstream port and a downstream port for each child', () => {
    const tree = devices([slotOf(3, rootPort(pcieSwitch(endpoint('edu'), endpoint('edu'))))])
    expect(tree.slice(1)).toEqual([
      'x3130-upstream,id=d2,bus=d1,addr=0x0.0',
      'xio3130-downstream,id=d3,bus=d2,addr=0x0.0,chassis=3',
      'edu,id=d4,bus=d3,addr=0x0.0',
      'xio3130-downstream,id=d5,bus=d2,addr=0x1.0,chassis=5',
      'edu,id=d6,bus=d5,addr=0x0.0',
    ])
  })

  it('gives an NVMe controller with virtual functions a subsystem and resources for them', () => {
    const [subsystem, controller] = devices([slotOf(4, endpoint('nvme', { virtualFunctions: 2 }))])
    expect(subsystem).toBe('nvme-subsys,id=d1subsystem,nqn=d1')
    expect(controller).toContain('sriov_max_vfs=2')
    expect(controller).toContain('subsys=d1subsystem')
  })

  it('puts a second root bus beside the first', () => {
    const extra = { slot: 5, busNumber: 128, below: [slotOf(0, rootPort())] }
    expect(topologyArguments({ slots: [], extraRootBuses: [extra] })).toEqual([
      ...['-device', 'pxb-pcie,id=d1,bus=pcie.0,addr=0x5,bus_nr=128'],
      ...['-device', 'pcie-root-port,id=d2,bus=d1,addr=0x0.0,chassis=2,io-reserve=0'],
    ])
  })

  it('refuses a slot with no function, and to take ACS from what has none', () => {
    expect(() => devices([slotOf(1)])).toThrow('slot 1 on pcie.0 has 0 functions, not 1 to 8')
    expect(() => withoutAcs(bridge('pcie-pci-bridge'))).toThrow('no ACS capability')
  })
})

describe('describeTopology', () => {
  it('prints one line a function, indented below its bridge', () => {
    const topology = {
      slots: [slotOf(0x1a, withoutAcs(rootPort(endpoint('nvme', { virtualFunctions: 2 }))))],
      extraRootBuses: [],
    }
    expect(describeTopology(topology)).toBe(
      '1a.0 pcie-root-port (no acs)\n  0.0 nvme (2 virtual functions)\n',
    )
  })
})

describe('every machine', () => {
  const fixed = fixedIommus.map((iommu) => fixedMachine(iommu).topology)
  const machines: readonly Topology[] = [...fixed, ...randomMachines]

  it('keeps to the numbers QEMU has', () => {
    for (const topology of machines) {
      const args = topologyArguments(topology)
      const addresses = args.flatMap(
        (word) => /bus=(\w+\.?\w*),addr=([^,]+)/.exec(word)?.slice(1) ?? [],
      )
      const places = addresses.flatMap((word, index) => {
        return index % 2 === 0 ? [`${word} ${addresses[index + 1] ?? ''}`] : []
      })
      expect(new Set(places).size).toBe(places.length)
      expect(args.length / 2).toBeLessThan(255)
    }
  })

  it('puts only bridges on a second root bus', () => {
    const slots = machines.flatMap(({ extraRootBuses }) =>
      extraRootBuses.flatMap((bus) => bus.below),
    )
    expect(slots.length).toBeGreaterThan(10)
    expect(slots.flatMap((slot) => slot.functions).every((p) => p.kind === 'bridge')).toBe(true)
  })

  it('leaves the slots of the lab itself free', () => {
    const lowest = Math.min(...Object.values(reservedSlots))
    for (const { slots, extraRootBuses } of machines) {
      const used = [...slots, ...extraRootBuses].map((item) => item.slot)
      expect(Math.max(0, ...used)).toBeLessThan(lowest)
      expect(Math.min(...used)).toBeGreaterThan(0)
    }
  })
})

describe('randomTopology', () => {
  it('makes the same machine from the same seed, and another from another', () => {
    expect(randomTopology(7, 'intel-iommu')).toEqual(randomTopology(7, 'intel-iommu'))
    const texts = new Set(randomMachines.map(describeTopology))
    expect(texts.size).toBeGreaterThan(295)
  })

  it('stays small enough to boot', () => {
    for (const { slots, extraRootBuses } of randomMachines) {
      const all = [...slots, ...extraRootBuses.flatMap((bus) => bus.below)]
      const pieces = allPieces(all)
      expect(pieces.length).toBeLessThan(60)
      const io = pieces.filter((piece) => /^(e1000e?|pci-testdev)$/.test(piece.model))
      expect(io.length).toBeLessThanOrEqual(4)
    }
  })

  it('gives amd-iommu machines no NVMe', () => {
    for (let seed = 0; seed < 100; seed += 1) {
      const pieces = allPieces(randomTopology(seed, 'amd-iommu').slots)
      expect(pieces.some((piece) => piece.model === 'nvme')).toBe(false)
    }
  })

  it('uses every piece some time', () => {
    const models = new Set(
      randomMachines.flatMap(({ slots }) => allPieces(slots)).map((p) => p.model),
    )
    expect([...models].sort()).toEqual([
      ...['e1000', 'e1000e', 'edu', 'i82801b11-bridge', 'ich9-intel-hda', 'ioh3420', 'nvme'],
      ...['pci-bridge', 'pcie-pci-bridge', 'pcie-root-port', 'qemu-xhci', 'virtio-rng-pci'],
      ...['x3130-upstream', 'xio3130-downstream'],
    ])
  })
})
