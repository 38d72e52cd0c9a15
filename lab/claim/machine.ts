/**
 * The machine on which groups are claimed: one group of every kind that a claim treats differently.
 *
 *     00:01.0 root port ── 01:00.0 NIC, 01:00.1 USB: two drivers in one slot without ACS: one group
 *     00:02.0 root port ── 02:00.0 PCIe-to-PCI bridge ── 03:01.0, 03:02.0 NICs, 03:03.0 edu,
 *                          03:04.0 random numbers: four members and a bridge, one group
 *     00:03.0 root port ── 04:00.0 NVMe with a disk: one group
 *     00:04.0 root port ── 05:00.0 NVMe, virtual functions 05:00.1 and 05:00.2: a group each
 *     00:05.0 root port ── 06:00.0 NIC, which gets the only route
 *     00:06.0 root port ── 07:00.0 edu, which no driver of the host knows
 */
import type { Machine } from '../qemu.ts'
import { bridge, endpoint, rootPort, slotOf } from '../topology.ts'

const oldNic = endpoint('e1000')

export const claimMachine: Machine = {
  name: 'claim',
  iommu: 'intel-iommu',
  disks: ['disk'],
  topology: {
    slots: [
      slotOf(1, rootPort(endpoint('e1000e'), endpoint('qemu-xhci'))),
      slotOf(
        2,
        rootPort(
          bridge('pcie-pci-bridge', [
            slotOf(1, oldNic),
            slotOf(2, oldNic),
            slotOf(3, endpoint('edu')),
            slotOf(4, endpoint('virtio-rng-pci')),
          ]),
        ),
      ),
      slotOf(3, rootPort(endpoint('nvme', { properties: ['drive=disk'] }))),
      slotOf(4, rootPort(endpoint('nvme', { virtualFunctions: 2 }))),
      slotOf(5, rootPort(endpoint('e1000e'))),
      slotOf(6, rootPort(endpoint('edu'))),
    ],
    extraRootBuses: [],
  },
}

export const pair = ['0000:01:00.0', '0000:01:00.1'] as const
export const four = ['0000:03:01.0', '0000:03:02.0', '0000:03:03.0', '0000:03:04.0'] as const
export const disk = '0000:04:00.0'
export const physicalFunction = '0000:05:00.0'
export const virtualFunction = '0000:05:00.1'
export const routedNic = '0000:06:00.0'
export const lone = '0000:07:00.0'
