/** Writable bits of extended capabilities (PCI Express Base Specification 7.7-7.9, SR-IOV, ATS, PASID). */
import { ACS, EXTENDED_CAPABILITY } from '../../pci/config-facts.ts'
import { hasWideAcs } from './wide-acs.ts'
import type { MaskTable } from './register-masks.ts'

const ADVANCED_ERRORS = 0x01
const DPC = 0x1d
const ARI = 0x0e
const ATS = 0x0f
const PAGE_REQUESTS = 0x13
const LATENCY_TOLERANCE = 0x18
const PASID = 0x1b

export function extendedMasks(table: MaskTable, list: ReadonlyMap<number, number>): void {
  for (const [id, offset] of list) MASKS[id]?.(table, offset)
}

const MASKS: Readonly<Record<number, (table: MaskTable, offset: number) => void>> = {
  [ADVANCED_ERRORS]: (table, offset) => {
    table.stickyClearable(offset + 0x04, 0x07fff030)
    table.sticky(offset + 0x08, 0x07fff030)
    table.sticky(offset + 0x0c, 0x07fff030)
    table.stickyClearable(offset + 0x10, 0xf1c1)
    table.sticky(offset + 0x14, 0xf1c1)
    // Generation and checking of end-to-end CRC, where the function is able to.
    const control = table.u32(offset + 0x18)
    table.sticky(offset + 0x18, ((control & 0x20) << 1) | ((control & 0x80) << 1))
  },
  [EXTENDED_CAPABILITY.acs]: acsMasks,
  [ARI]: (table, offset) => table.state(offset + 6, table.u16(offset + 4) & 0x0003),
  [ATS]: (table, offset) => table.state(offset + 6, 0x801f),
  [EXTENDED_CAPABILITY.sriov]: (table, offset) => {
    // VF enable, VF memory space enable, ARI hierarchy.
    table.state(offset + 0x08, 0x0019)
    table.state(offset + 0x10, 0xffff)
    table.setting(offset + 0x20, table.u32(offset + 0x1c))
  },
  [PAGE_REQUESTS]: (table, offset) => {
    table.state(offset + 4, 0x0001)
    table.clearable(offset + 6, 0x0003)
    table.state(offset + 0x0c, 0xffffffff)
  },
  [LATENCY_TOLERANCE]: (table, offset) => table.state(offset + 4, 0x1fff1fff),
  [PASID]: (table, offset) => table.state(offset + 6, 0x0001 | (table.u16(offset + 4) & 0x0006)),
  [DPC]: (table, offset) => {
    table.setting(offset + 6, 0x007f)
    table.stickyClearable(offset + 8, 0x000f)
  },
}

/** Control bits exist where the capability bit does; the egress vector where egress control does. */
function acsMasks(table: MaskTable, offset: number): void {
  if (hasWideAcs(table.u16(0x00), table.u16(0x02))) {
    table.state(offset + 8, table.u32(offset + 4) & 0x7f)
    return
  }
  const capability = table.u16(offset + 4)
  table.state(offset + 6, capability & 0x7f)
  if ((capability & ACS.egressControl) === 0) return
  const bits = capability >> 8 === 0 ? 256 : capability >> 8
  for (let done = 0; done < bits; done += 32) {
    const count = Math.min(32, bits - done)
    table.state(offset + 8 + done / 8, count === 32 ? -1 : (1 << count) - 1)
  }
}
