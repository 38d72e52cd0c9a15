/**
 * The machine on which programs use devices, each alone in its group.
 *
 *     00:01.0 root port ── 01:00.0 edu      00:02.0 root port ── 02:00.0 edu
 *     00:03.0 root port ── 03:00.0 edu, which is pulled out at the end
 *     00:04.0 root port ── 04:00.0 NVMe with a disk
 */
import type { Machine } from '../qemu.ts'
import { endpoint, rootPort, slotOf } from '../topology.ts'

const edu = endpoint('edu')

export const accessMachine: Machine = {
  name: 'access',
  iommu: 'intel-iommu',
  disks: ['disk'],
  topology: {
    // Devices are numbered in the order in which they are written: the third edu is d6.
    slots: [
      slotOf(1, rootPort(edu)),
      slotOf(2, rootPort(edu)),
      slotOf(3, rootPort(edu)),
      slotOf(4, rootPort(endpoint('nvme', { properties: ['drive=disk'] }))),
    ],
    extraRootBuses: [],
  },
}

export const pair = ['0000:01:00.0', '0000:02:00.0'] as const
export const pulled = '0000:03:00.0'
/** The id under which QEMU knows it. */
export const pulledId = 'd6'
export const disk = '0000:04:00.0'
