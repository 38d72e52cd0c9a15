/**
 * The machine on which traces run: small, so that many steps fit into a minute, and with one of everything
 * that has rules of its own.
 *
 *     00:01.0 root port ── 01:00.0, 01:00.1  NIC, two functions of one slot without ACS: one group
 *     00:02.0 root port ── 02:00.0 PCIe-to-PCI bridge ── 03:01.0, 03:02.0 edu, all one group
 *     00:03.0 root port ── 04:00.0 NVMe, virtual functions 04:00.1 and 04:00.2
 *     00:04.0 root port without ACS ── 05:00.0 NIC: one group
 *     00:05.0 root port ── 06:00.0 a NIC, now and then
 *                          03:03.0 an edu, now and then: joins the group of its bus
 *     00:1f.0, .2, .3      chipset: one group
 */
import type { Machine } from '../qemu.ts'
import { bridge, endpoint, rootPort, slotOf, withoutAcs } from '../topology.ts'
import type { Universe } from './world.ts'

const nic = endpoint('e1000e')
const edu = endpoint('edu')

export const traceMachine: Machine = {
  name: 'trace',
  iommu: 'intel-iommu',
  topology: {
    // Devices are numbered in the order in which they are written: the empty port is d12.
    slots: [
      slotOf(1, rootPort(nic, nic)),
      slotOf(2, rootPort(bridge('pcie-pci-bridge', [slotOf(1, edu), slotOf(2, edu)]))),
      slotOf(3, rootPort(endpoint('nvme', { virtualFunctions: 2 }))),
      slotOf(4, withoutAcs(rootPort(nic))),
      slotOf(5, rootPort()),
    ],
    extraRootBuses: [],
  },
}

export const traceUniverse: Universe = {
  // The lab's own way into the guest.
  ignored: new Set(['0000:00:1e.0']),
  bridges: new Set([1, 2, 3, 4, 5].map((slot) => `0000:00:0${slot}.0`).concat('0000:02:00.0')),
  removable: [
    ...['0000:01:00.0', '0000:01:00.1', '0000:02:00.0', '0000:03:01.0', '0000:03:02.0'],
    ...['0000:04:00.0', '0000:05:00.0', '0000:06:00.0', '0000:03:03.0'],
  ],
  drivers: ['vfio-pci', 'pci-stub', 'e1000e', 'nvme', 'pcieport', 'shpchp', 'nosuch'],
  usual: {
    '0000:01:00.0': 'e1000e',
    '0000:01:00.1': 'e1000e',
    '0000:00:1f.0': 'lpc_ich',
    '0000:00:1f.2': 'ahci',
  },
  trusting: {
    e1000e: {
      addresses: ['0000:01:00.0', '0000:01:00.1', '0000:05:00.0', '0000:06:00.0'],
      foreignIds: /11e8|0010/,
    },
    nvme: { addresses: ['0000:04:00.0'], foreignIds: /10d3|11e8/ },
  },
  newcomers: [
    {
      name: 'nic',
      address: '0000:06:00.0',
      properties: { driver: 'e1000e', bus: 'd12', romfile: '' },
    },
    {
      name: 'edu',
      address: '0000:03:03.0',
      properties: { driver: 'edu', bus: 'd5', addr: '3' },
    },
  ],
  virtual: { '0000:04:00.0': ['0000:04:00.1', '0000:04:00.2'] },
  above: {
    '0000:03:01.0': '0000:02:00.0',
    '0000:03:02.0': '0000:02:00.0',
    '0000:03:03.0': '0000:02:00.0',
  },
  sharedBus: { bridge: '0000:02:00.0', newcomer: 'edu' },
}
