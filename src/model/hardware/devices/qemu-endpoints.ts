/**
 * Endpoints that QEMU has too.
 *
 * Power-on registers as QEMU 7.2 has them (q35, read before firmware ran), so that machines of
 * these kinds and QEMU machines get the same answers.
 */
import {
  type DeviceModel,
  ioBar,
  memoryBar,
  registerRows,
  romBar,
  wideBar,
} from './device-model.ts'

export const QEMU_ENDPOINTS: readonly DeviceModel[] = [
  {
    name: 'edu',
    text: "QEMU's teaching device: factorial, interrupt, DMA (edu)",
    behaviour: 'edu',
    config: () =>
      registerRows(`
        000: 34 12 e8 11 00 00 10 00 10 00 ff
        020: 00 00 00 00 00 00 00 00 00 00 00 00 f4 1a 00 11
        030: 00 00 00 00 40 00 00 00 00 00 00 00 00 01
        040: 05 00 80
      `),
    bars: [memoryBar(0, 0x100000)],
  },
  {
    name: 'nic',
    text: 'gigabit network function, PCI Express (e1000e)',
    behaviour: 'nic',
    config: () =>
      registerRows(`
        000: 86 80 d3 10 00 00 10 00 00 00 00 02
        010: 00 00 00 00 00 00 00 00 01
        020: 00 00 00 00 00 00 00 00 00 00 00 00 86 80
        030: 00 00 00 00 c8 00 00 00 00 00 00 00 00 01
        0a0: 11 00 04 00 03 00 00 00 03 20
        0c0: 00 00 00 00 00 00 00 00 01 d0 22
        0d0: 05 e0 80
        0e0: 10 a0 01 00 00 80 00 00 00 00 00 00 11 04
        0f0: 00 00 11
        100: 01 00 02 14 00 00 00 00 00 00 00 00 30 20 46
        110: 00 00 00 00 00 e0 00 00 a0
        140: 03 00 01 00 56 34 12 ff ff 00 54 52
      `),
    bars: [
      memoryBar(0, 0x20000),
      memoryBar(1, 0x20000),
      ioBar(2, 0x20),
      memoryBar(3, 0x4000),
      romBar(0x40000),
    ],
  },
  {
    name: 'pci-nic',
    text: 'gigabit network card, conventional PCI (e1000)',
    behaviour: 'nic',
    config: () =>
      registerRows(`
        000: 86 80 0e 10 00 00 00 00 03 00 00 02
        010: 00 00 00 00 01
        020: 00 00 00 00 00 00 00 00 00 00 00 00 f4 1a 00 11
        030: 00 00 00 00 00 00 00 00 00 00 00 00 00 01
      `),
    bars: [memoryBar(0, 0x20000), ioBar(1, 0x40), romBar(0x40000)],
  },
  {
    name: 'nvme',
    text: 'NVMe controller with a namespace of 16 MiB (nvme)',
    behaviour: 'nvme',
    config: () =>
      registerRows(
        `
        000: 36 1b 10 00 00 00 10 00 02 02 08 01
        010: 04
        020: 00 00 00 00 00 00 00 00 00 00 00 00 f4 1a 00 11
        030: 00 00 00 00 40 00 00 00 00 00 00 00 00 01
        040: 11 80 40 00 00 20 00 00 00 30
        060: 01 00 03 00 08
        080: 10 60 02 00 00 80 00 10 00 00 00 00 11 04
        090: 00 00 11
        0a0: 00 00 00 00 00 00 30
      `,
        true,
      ),
    bars: [wideBar(0, 0x4000)],
  },
  {
    name: 'nvme-sriov',
    text: 'NVMe controller with four virtual functions (nvme,sriov_max_vfs=4)',
    behaviour: 'nvme',
    config: () =>
      registerRows(`
        000: 36 1b 10 00 00 00 10 00 02 02 08 01
        010: 04
        020: 00 00 00 00 00 00 00 00 00 00 00 00 f4 1a 00 11
        030: 00 00 00 00 40 00 00 00 00 00 00 00 00 01
        040: 11 80 0f 00 00 20 00 00 00 30
        060: 01 00 03 00 08
        080: 10 60 02 00 00 80 00 10 00 00 00 00 11 04
        090: 00 00 11
        0a0: 00 00 00 00 00 00 30
        100: 0e 00 01 12 00 01
        120: 10 00 01 00 00 00 00 00 00 00 00 00 04 00 04
        130: 00 00 00 00 01 00 01 00 00 00 10 00 53 05
        140: 01 00 00 00 04
      `),
    bars: [wideBar(0, 0x4000)],
    virtualBars: [wideBar(0, 0x4000)],
  },
  {
    name: 'usb',
    text: 'USB 3 host controller (qemu-xhci)',
    behaviour: 'generic',
    config: () =>
      registerRows(
        `
        000: 36 1b 0d 00 00 00 10 00 01 30 03 0c
        010: 04
        020: 00 00 00 00 00 00 00 00 00 00 00 00 f4 1a 00 11
        030: 00 00 00 00 90 00 00 00 00 00 00 00 00 01
        060: 30
        090: 11 a0 0f 00 00 30 00 00 00 38
        0a0: 10 00 02 00 00 80 00 00 00 00 00 00 11 04
        0b0: 00 00 11
        0c0: 00 00 00 00 00 00 30
      `,
        true,
      ),
    bars: [wideBar(0, 0x4000)],
  },
  {
    name: 'virtio-net',
    text: 'paravirtual network function (virtio-net-pci)',
    behaviour: 'generic',
    config: () =>
      registerRows(
        `
        000: f4 1a 41 10 00 00 10 00 01 00 00 02
        020: 0c 00 00 00 00 00 00 00 00 00 00 00 f4 1a 00 11
        030: 00 00 00 00 dc 00 00 00 00 00 00 00 00 01
        040: 10 00 02 00 00 80 00 10 00 00 00 00 11 04
        050: 00 00 11
        060: 00 00 00 00 00 00 30
        070: 00 00 00 00 00 00 00 00 00 00 00 00 01 40 03
        080: 00 00 00 00 09 7c 10 01 04
        090: 00 10 00 00 09 84 10 03 04 00 00 00 00 10
        0a0: 00 10 00 00 09 94 10 04 04 00 00 00 00 20
        0b0: 00 10 00 00 09 a4 14 02 04 00 00 00 00 30
        0c0: 00 10 00 00 04 00 00 00 09 b4 14 05
        0d0: 00 00 00 00 00 00 00 00 00 00 00 00 11 c8 03
        0e0: 01 00 00 00 01 08
      `,
        true,
      ),
    bars: [memoryBar(1, 0x1000), wideBar(4, 0x4000, true), romBar(0x40000)],
  },
  {
    name: 'display',
    text: 'frame buffer (bochs-display)',
    behaviour: 'generic',
    config: () =>
      registerRows(
        `
        000: 34 12 11 11 00 00 10 00 02 00 80 03
        010: 08
        020: 00 00 00 00 00 00 00 00 00 00 00 00 f4 1a 00 11
        030: 00 00 00 00 80
        080: 10 00 02 00 00 80 00 00 00 00 00 00 11 04
        090: 00 00 11
        0a0: 00 00 00 00 00 00 30
      `,
        true,
      ),
    bars: [
      { index: 0, size: 0x1000000, kind: 'mem32', prefetchable: true },
      memoryBar(2, 0x1000),
      romBar(0x8000),
    ],
  },
  {
    name: 'audio',
    text: 'chipset sound function, conventional (ich9-intel-hda)',
    behaviour: 'generic',
    config: () =>
      registerRows(`
        000: 86 80 3e 29 00 00 10 00 03 00 03 04
        020: 00 00 00 00 00 00 00 00 00 00 00 00 f4 1a 00 11
        030: 00 00 00 00 60 00 00 00 00 00 00 00 00 01
        040: 01
        060: 05 00 80
      `),
    bars: [memoryBar(0, 0x4000)],
  },
]
