/**
 * The fixed machine: one PCI tree that holds every grouping rule QEMU 7.2 can express.
 *
 * Its first seven slots are the golden machine: with an IOMMU, buses 01 to 0c of it must come out in
 * exactly the groups of goldenGroups, on every kernel of the lab. The rest is checked by comparing
 * the prediction with whatever the kernel decided.
 *
 * The variant for amd-iommu has no NVMe: the probe of one times out there for a minute (QEMU 7.2).
 */
import type { Iommu, Machine } from './qemu.ts'
import {
  bridge,
  endpoint,
  pcieSwitch,
  type Piece,
  rootPort,
  type Slot,
  slotOf,
  withoutAcs,
} from './topology.ts'

/** The complete fixed machine for one kind of IOMMU. */
export function fixedMachine(iommu: Iommu): Machine {
  const storage = iommu === 'amd-iommu' ? endpoint('qemu-xhci') : nvme(2)
  return {
    name: `fixed-${iommu}`,
    iommu,
    topology: {
      slots: [
        ...goldenSlots(storage),
        ...conventionalSlots(),
        ...switchSlots(),
        ...multifunctionSlots(),
        ...oddSlots(iommu === 'amd-iommu' ? endpoint('qemu-xhci') : nvme(1)),
      ],
      extraRootBuses: [
        {
          slot: 0x19,
          busNumber: 0x80,
          below: [
            slotOf(0, rootPort(endpoint('edu'))),
            slotOf(1, withoutAcs(rootPort(endpoint('qemu-xhci')))),
          ],
        },
      ],
    },
  }
}

function nvme(virtualFunctions: number): Piece {
  return endpoint('nvme', { virtualFunctions })
}

function goldenSlots(storage: Piece): readonly Slot[] {
  const nic = endpoint('e1000e')
  const oldNic = endpoint('e1000')
  const bareNicPort = withoutAcs(rootPort(nic))
  return [
    slotOf(1, rootPort(nic)),
    slotOf(2, withoutAcs(rootPort(nic))),
    slotOf(3, rootPort(pcieSwitch(nic, nic))),
    slotOf(4, rootPort(bridge('pcie-pci-bridge', [slotOf(1, oldNic), slotOf(2, oldNic)]))),
    slotOf(5, rootPort(nic, nic)),
    slotOf(6, rootPort(storage)),
    slotOf(7, bareNicPort, bareNicPort),
  ]
}

/** Conventional PCI: bridges on the root bus, nested bridges, a bridge that hides its PCIe nature. */
function conventionalSlots(): readonly Slot[] {
  const edu = endpoint('edu')
  const pair = bridge('pci-bridge', [slotOf(1, edu), slotOf(2, edu)])
  return [
    slotOf(8, bridge('i82801b11-bridge', [slotOf(1, pair)])),
    slotOf(9, endpoint('ich9-intel-hda'), edu),
    slotOf(
      0xa,
      rootPort(
        bridge('pcie-pci-bridge', [
          slotOf(1, bridge('pci-bridge', [slotOf(1, edu)])),
          slotOf(2, edu),
        ]),
      ),
    ),
    slotOf(0xb, bridge('pci-bridge', [slotOf(1, edu)])),
    slotOf(0xc, rootPort(bridge('i82801b11-bridge', [slotOf(1, pair)]))),
  ]
}

/** Switches: below a switch, below a port without ACS, with ports that share a slot. */
function switchSlots(): readonly Slot[] {
  const xhci = endpoint('qemu-xhci')
  const rng = endpoint('virtio-rng-pci')
  const port = bridge('xio3130-downstream', [slotOf(0, rng)])
  return [
    slotOf(0xd, rootPort(pcieSwitch(pcieSwitch(xhci, rng), xhci))),
    slotOf(0xe, withoutAcs(rootPort(pcieSwitch(rng, xhci)))),
    slotOf(0xf, rootPort(bridge('x3130-upstream', [slotOf(0, port, port), slotOf(1, port)]))),
  ]
}

/** Several functions in one slot, with and without ACS, with and without the header bit. */
function multifunctionSlots(): readonly Slot[] {
  const xhci = endpoint('qemu-xhci')
  const rng = endpoint('virtio-rng-pci')
  const nic = endpoint('e1000e')
  return [
    slotOf(0x10, rootPort(xhci), rootPort(rng)),
    slotOf(0x11, rootPort(xhci), withoutAcs(rootPort(rng)), withoutAcs(rootPort(rng))),
    // Intel functions integrated in the root complex count as isolated by a quirk.
    slotOf(0x12, nic, nic),
    { ...slotOf(0x13, withoutAcs(rootPort(rng)), rootPort(rng)), multifunctionBit: 'every' },
  ]
}

/** What hardware rarely shows: wrong port types, conventional devices on PCIe links, VFs. */
function oddSlots(storage: Piece): readonly Slot[] {
  const edu = endpoint('edu')
  const rng = endpoint('virtio-rng-pci')
  const downstream = bridge('xio3130-downstream', [slotOf(0, rng)])
  const upstream = bridge('x3130-upstream', [slotOf(0, downstream)])
  return [
    slotOf(0x14, rootPort(downstream)),
    slotOf(0x15, rootPort(bridge('x3130-upstream', [slotOf(0, upstream)]))),
    slotOf(0x16, bridge('ioh3420', [slotOf(0, edu)])),
    slotOf(0x17, withoutAcs(rootPort(storage))),
    slotOf(0x18, rootPort(pcieSwitch(storage, bridge('pcie-pci-bridge', [slotOf(1, edu)])))),
    // Empty, for plugging something in later.
    slotOf(0x1a, rootPort()),
    slotOf(0x1b, rootPort()),
  ]
}

/** Groups that must come out of the golden slots with an IOMMU; device names without the domain. */
export const goldenGroups: readonly (readonly string[])[] = [
  ['00:00.0'],
  ['00:01.0'],
  ['01:00.0'],
  ['00:02.0', '02:00.0'],
  ['00:03.0'],
  ['03:00.0'],
  ['04:00.0', '05:00.0'],
  ['04:01.0', '06:00.0'],
  ['00:04.0'],
  ['07:00.0', '08:01.0', '08:02.0'],
  ['00:05.0'],
  ['09:00.0', '09:00.1'],
  ['00:06.0'],
  ['0a:00.0'],
  ['00:07.0', '00:07.1', '0b:00.0', '0c:00.0'],
  ['00:1f.0', '00:1f.2', '00:1f.3'],
]

export const fixedIommus: readonly Iommu[] = ['intel-iommu', 'amd-iommu', 'none']
