/**
 * Endpoints that QEMU 7.2 lacks, as typical products of their kind describe themselves: what
 * matters to groups, resets and drivers (ids, classes, capabilities) is right, what is behind the
 * BARs is not modelled, apart from the network function's.
 */
import {
  advancedErrors,
  ari,
  msi,
  msix,
  pciExpress,
  powerManagement,
  sriov,
} from '../capabilities.ts'
import { buildConfig, type ConfigDescription } from '../config-build.ts'
import type { Bar } from '../function.ts'
import { type DeviceModel, ioBar, memoryBar, wideBar } from './device-model.ts'

const INTEL = 0x8086
const NVIDIA = 0x10de
const LEGACY_ENDPOINT = 1
const INTEGRATED = 9

const MSI = msi({ vectors: 1 })

export const OTHER_ENDPOINTS: readonly DeviceModel[] = [
  built('gpu', 'graphics card (GeForce GTX 1080)', {
    vendor: NVIDIA,
    device: 0x1b80,
    classCode: 0x030000,
    revision: 0xa1,
    interruptPin: 1,
    bars: [
      memoryBar(0, 0x1000000),
      wideBar(1, 0x10000000, true),
      wideBar(3, 0x2000000, true),
      ioBar(5, 0x80),
    ],
    capabilities: [
      powerManagement({ noSoftReset: true }),
      MSI,
      pciExpress({ type: LEGACY_ENDPOINT }),
    ],
    extended: [advancedErrors()],
  }),
  built('gpu-audio', 'sound function of a graphics card, function 1 beside "gpu"', {
    vendor: NVIDIA,
    device: 0x10f0,
    classCode: 0x040300,
    revision: 0xa1,
    interruptPin: 2,
    bars: [memoryBar(0, 0x4000)],
    capabilities: [powerManagement({ noSoftReset: true }), MSI, pciExpress({ type: 0 })],
    extended: [advancedErrors()],
  }),
  built('integrated-gpu', 'graphics inside the processor, on the root bus (UHD 620)', {
    vendor: INTEL,
    device: 0x5917,
    classCode: 0x030000,
    revision: 7,
    interruptPin: 1,
    bars: [wideBar(0, 0x1000000), wideBar(2, 0x10000000, true), ioBar(4, 0x40)],
    capabilities: [pciExpress({ type: INTEGRATED, flr: true }), MSI, powerManagement()],
  }),
  built('integrated-endpoint', 'function inside the root complex, with FLR (HD Audio)', {
    vendor: INTEL,
    device: 0x1d20,
    classCode: 0x040300,
    revision: 6,
    interruptPin: 1,
    bars: [wideBar(0, 0x4000)],
    capabilities: [
      powerManagement({ pme: true }),
      MSI,
      pciExpress({ type: INTEGRATED, flr: true }),
    ],
  }),
  built('wifi', 'wireless network card (Wi-Fi 6 AX200)', {
    vendor: INTEL,
    device: 0x2723,
    classCode: 0x028000,
    revision: 0x1a,
    interruptPin: 1,
    bars: [wideBar(0, 0x4000)],
    capabilities: [
      powerManagement({ noSoftReset: true, pme: true }),
      MSI,
      pciExpress({ type: 0, flr: true }),
      msix({ vectors: 16, bar: 0, tableOffset: 0x2000, pendingOffset: 0x3000 }),
    ],
    extended: [advancedErrors()],
  }),
  sriovNic(),
]

function built(name: string, text: string, description: ConfigDescription): DeviceModel {
  const bars = description.bars ?? []
  return { name, text, behaviour: 'generic', bars, config: () => buildConfig(description) }
}

/**
 * Virtual functions begin 0x80 above, so they lie on their own numbers whatever the function is.
 */
function sriovNic(): DeviceModel {
  const bars = [memoryBar(0, 0x20000), ioBar(2, 0x20), memoryBar(3, 0x4000)]
  const virtualBars: readonly Bar[] = [wideBar(0, 0x4000, true), wideBar(3, 0x4000, true)]
  return {
    name: 'sriov-nic',
    text: 'gigabit network function with eight virtual ones (82576)',
    behaviour: 'nic',
    bars,
    virtualBars,
    config: () =>
      buildConfig({
        vendor: INTEL,
        device: 0x10c9,
        classCode: 0x020000,
        revision: 1,
        interruptPin: 1,
        subsystem: { vendor: INTEL, device: 0 },
        bars,
        capabilities: [
          powerManagement({ pme: true }),
          msi({ vectors: 1, maskable: true }),
          msix({ vectors: 10, bar: 3, pendingOffset: 0x2000 }),
          pciExpress({ type: 0, flr: true }),
        ],
        extended: [
          advancedErrors(),
          ari(),
          sriov({ total: 8, offset: 0x80, stride: 2, vfDevice: 0x10ca, bars: virtualBars }),
        ],
      }),
  }
}
