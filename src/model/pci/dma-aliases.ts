/**
 * Functions that do DMA under ids of others: the fixups of drivers/pci/quirks.c that call
 * pci_add_dma_alias, run when a function is found, before it is registered (pci_fixup_header).
 *
 * Switchtec and Efar switches have theirs in device memory (quirk_switchtec_ntb_dma_alias); nothing in
 * the model has such a table, so the fixup finds nothing there.
 */
import type { PciDevice } from './pci-device.ts'
import { logDevice, type PciState } from './pci-state.ts'

/** What a fixup does with a device it names. */
type Fixup = (device: PciDevice, add: (first: number, count: number) => void) => void

const toFunction =
  (wanted: number): Fixup =>
  (device, add) => {
    if ((device.devfn & 7) !== wanted) add((device.devfn & ~7) | wanted, 1)
  }

/** quirk_dma_func0_alias, quirk_dma_func1_alias: the latter may not even exist ("ghost requester"). */
const FUNCTION_0 = toFunction(0)
const FUNCTION_1 = toFunction(1)

/** quirk_fixed_dma_alias: Adaptec 3405 and 3805, both behind an Intel 80333 bridge. */
const adaptec: Fixup = (device, add) => {
  const { subsystemVendor, subsystemDevice } = device
  if (subsystemVendor !== 0x9005) return
  if (subsystemDevice === 0x02bb || subsystemDevice === 0x02bc) add(devfn(1, 0), 1)
}

/** quirk_mic_x200_dma_alias: Xeon Phi x200, whose transactions come from the other side of its bridge. */
const xeonPhi: Fixup = (_device, add) => {
  add(devfn(0x10, 0), 1)
  add(devfn(0x11, 0), 1)
  add(devfn(0x12, 3), 1)
}

/** quirk_pex_vca_alias: Visual Compute Accelerator, functions 0-4 of every slot. */
const visualCompute: Fixup = (_device, add) => {
  for (let slot = 0; slot < 32; slot++) add(devfn(slot, 0), 5)
}

/** quirk_plx_ntb_dma_alias: a non-transparent bridge passes on the ids of the other host. */
const plx: Fixup = (_device, add) => add(0, 256)

function devfn(slot: number, fn: number): number {
  return (slot << 3) | fn
}

const VISUAL_COMPUTE = [0x2954, 0x2955, 0x2956, 0x2958, 0x2959, 0x295a]

const MARVELL_FUNCTION_1 = [
  0x9120, 0x9123, 0x9125, 0x9128, 0x9130, 0x9170, 0x9172, 0x917a, 0x9182, 0x9183, 0x91a0, 0x9215,
  0x9220, 0x9230, 0x9235,
]

/** By vendor << 16 | device, as DECLARE_PCI_FIXUP_HEADER names them. */
const FIXUPS: ReadonlyMap<number, Fixup> = new Map([
  ...ids(0x1180, [0xe832, 0xe476], FUNCTION_0),
  ...ids(0x6766, [0x3d40, 0x3d41], FUNCTION_0),
  ...ids(0x1b4b, MARVELL_FUNCTION_1, FUNCTION_1),
  ...ids(0x1103, [0x0642, 0x0645], FUNCTION_1),
  ...ids(0x197b, [0x2392], FUNCTION_1),
  ...ids(0x1c28, [0x0122], FUNCTION_1),
  ...ids(0x9005, [0x0285], adaptec),
  ...ids(0x8086, [0x2260, 0x2264], xeonPhi),
  ...ids(0x8086, VISUAL_COMPUTE, visualCompute),
  ...ids(0x10b5, [0x87b0, 0x87b1], plx),
])

function ids(
  vendor: number,
  devices: readonly number[],
  fixup: Fixup,
): readonly (readonly [number, Fixup])[] {
  return devices.map((device) => [vendor * 0x1_0000 + device, fixup])
}

/** Runs the fixups that name the device. */
export function addDmaAliases(state: PciState, device: PciDevice): void {
  FIXUPS.get(device.vendor * 0x1_0000 + device.device)?.(device, (first, count) => {
    for (let n = 0; n < count; n++) device.dmaAliases.add(first + n)
    const place = (at: number): string => `${(at >> 3).toString(16).padStart(2, '0')}.${at & 7}`
    const to = place(first)
    const text =
      count === 1
        ? `Enabling fixed DMA alias to ${to}`
        : `Enabling fixed DMA alias for devfn range from ${to} to ${place(first + count - 1)}`
    logDevice(state, device, text)
  })
}
