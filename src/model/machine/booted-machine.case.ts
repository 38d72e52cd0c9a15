/** A small booted machine for tests: a network card of two functions, an NVMe disk, USB on the root bus. */
import { bootModel, type Model } from '../model.ts'
import { buildMachine } from './builder.ts'
import type { DeviceForm } from './machine-form.ts'

/** Two functions of one card: one group. */
export const CARD = '0000:01:00.0'
export const CARD_MATE = '0000:01:00.1'
/** Alone in its group. */
export const DISK = '0000:02:00.0'
export const USB = '0000:00:03.0'

const PLAIN: DeviceForm = {
  kind: null,
  slot: null,
  functions: [],
  function: null,
  repeat: 1,
  acs: null,
  ids: null,
  driver: undefined,
  virtualFunctions: [],
  totalVfs: null,
  services: [],
  unit: null,
  partition: null,
  reserved: [],
  numaNode: null,
  below: [],
}

export interface BootedOptions {
  readonly kernel?: string
  readonly interruptRemapping?: boolean
}

export function bootedMachine(options: BootedOptions = {}): Model {
  const card: DeviceForm = {
    ...PLAIN,
    functions: [
      { ...PLAIN, kind: 'nic' },
      { ...PLAIN, kind: 'nic' },
    ],
  }
  return bootModel(
    buildMachine({
      name: 'booted',
      title: 'for tests',
      kernel: options.kernel ?? '6.12.117',
      commandLine: 'intel_iommu=on',
      cpu: { vendor: 'GenuineIntel', flags: ['vmx'] },
      memoryBytes: 2 ** 30,
      iommu: {
        kind: 'intel',
        interruptRemapping: options.interruptRemapping ?? true,
        defaultDomain: 'DMA-FQ',
        units: [{ name: 'dmar0', attributes: {} }],
      },
      buses: [
        {
          bus: '0000:00',
          unit: null,
          devices: [
            { ...PLAIN, kind: 'host-bridge' },
            { ...PLAIN, kind: 'root-port', below: [card] },
            { ...PLAIN, kind: 'root-port', below: [{ ...PLAIN, kind: 'nvme' }] },
            { ...PLAIN, kind: 'usb' },
          ],
        },
      ],
      drivers: [],
      names: {},
    }),
  )
}
