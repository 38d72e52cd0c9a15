/**
 * Bridges, ports and the chipset, as on QEMU's q35 machine.
 *
 * Power-on registers as QEMU 7.2 has them (q35, read before firmware ran), so that machines of
 * these kinds and QEMU machines get the same answers.
 */
import { type DeviceModel, ioBar, memoryBar, registerRows, wideBar } from './device-model.ts'

export const QEMU_PORTS: readonly DeviceModel[] = [
  {
    name: 'root-port',
    text: 'PCI Express root port with ACS and hot plug (pcie-root-port)',
    behaviour: 'bridge',
    config: () =>
      registerRows(`
        000: 36 1b 0c 00 00 00 10 00 00 00 04 06 00 00 01
        010: 00 00 00 00 00 00 00 00 00 00 00 00 f0
        020: f0 ff 00 00 f1 ff 01
        030: 00 00 00 00 54 00 00 00 00 00 00 00 00 01
        040: 0d 00 00 00 36 1b 00 00 11 40
        050: 00 08 00 00 10 48 42 01 00 80
        060: 04 06 30 00 00 00 04 02 7b 00 02 00 c0 07
        070: 00 00 00 00 00 00 00 00 20 00 30
        080: 1e 00 00 00 04
        100: 01 00 82 14 00 00 00 00 00 00 00 00 30 20 46
        110: 00 00 00 00 00 e0 00 00 a0 02
        140: 00 00 00 00 00 00 00 00 0d 00 01 00 5f
      `),
    bars: [memoryBar(0, 0x1000)],
  },
  {
    name: 'upstream-port',
    text: 'upstream port of a switch (x3130-upstream)',
    behaviour: 'bridge',
    config: () =>
      registerRows(`
        000: 4c 10 32 82 00 00 10 00 02 00 04 06 00 00 01
        020: 00 00 00 00 01 00 01
        030: 00 00 00 00 90
        070: 05 00 80
        080: 0d 70
        090: 10 80 52 00 00 80 00 10 00 00 00 00 11 04
        0a0: 00 00 11
        0b0: 00 00 00 00 00 00 30
        100: 01 00 02 00 00 00 00 00 00 00 00 00 30 20 46
        110: 00 00 00 00 00 e0 00 00 a0 02
      `),
    bars: [],
  },
  {
    name: 'downstream-port',
    text: 'downstream port of a switch, without ACS (xio3130-downstream)',
    behaviour: 'bridge',
    config: () =>
      registerRows(`
        000: 4c 10 33 82 00 00 10 00 01 00 04 06 00 00 01
        020: 00 00 00 00 01 00 01
        030: 00 00 00 00 90
        070: 05 00 80
        080: 0d 70
        090: 10 80 62 01 00 80 00 10 00 00 00 00 00 04
        0a0: 00 00 11 00 7b 00 02 00 c0 07
        0b0: 00 00 00 00 20 00 30
        100: 01 00 02 00 00 00 00 00 00 00 00 00 30 20 46
        110: 00 00 00 00 00 e0 00 00 a0 02
      `),
    bars: [],
  },
  {
    name: 'pcie-pci-bridge',
    text: 'PCI Express to PCI bridge (pcie-pci-bridge)',
    behaviour: 'bridge',
    config: () =>
      registerRows(`
        000: 36 1b 0e 00 00 00 b0 00 00 00 04 06 00 00 01
        010: 04 00 00 00 00 00 00 00 00 00 00 00 00 00 a0
        020: 00 00 00 00 01 00 01
        030: 00 00 00 00 8c 00 00 00 00 00 00 00 00 01
        040: 0c 00 00 00 00 00 00 00 10 40 72 00 00 80
        050: 00 00 00 00 11 04 00 00 00 00 11
        060: 00 00 00 00 00 00 00 00 00 00 00 00 20 00 30
        080: 00 00 00 00 01 48 03 00 00 00 00 00 05 84 80 01
        100: 01 00 02 00 00 00 00 00 00 00 00 00 30 20 46
        110: 00 00 00 00 00 e0 00 00 a0
      `),
    bars: [wideBar(0, 0x100)],
  },
  {
    name: 'pci-bridge',
    text: 'conventional PCI bridge (pci-bridge)',
    behaviour: 'bridge',
    config: () =>
      registerRows(`
        000: 36 1b 01 00 00 00 b0 00 00 00 04 06 00 00 01
        010: 04 00 00 00 00 00 00 00 00 00 00 00 00 00 a0
        020: 00 00 00 00 01 00 01
        030: 00 00 00 00 4c 00 00 00 00 00 00 00 00 01
        040: 0c 00 00 00 00 00 00 00 04 40 20 03 05 48 80 01
      `),
    bars: [wideBar(0, 0x100)],
  },
  {
    name: 'host-bridge',
    text: 'host bridge of the chipset (q35)',
    behaviour: 'generic',
    config: () =>
      registerRows(`
        000: 86 80 c0 29 00 00 00 00 00 00 00 06
        020: 00 00 00 00 00 00 00 00 00 00 00 00 f4 1a 00 11
        050: 10
        060: 01 00 00 b0
        090: 00 00 00 00 00 00 00 00 00 00 00 00 00 02 38
      `),
    bars: [],
  },
  {
    name: 'isa-bridge',
    text: 'ISA bridge of the chipset, function 0 of 1f (ich9 LPC)',
    behaviour: 'generic',
    config: () =>
      registerRows(`
        000: 86 80 18 29 00 00 00 00 02 00 01 06 00 00 80
        020: 00 00 00 00 00 00 00 00 00 00 00 00 f4 1a 00 11
        040: 01
        060: 80 80 80 80 00 00 00 00 80 80 80 80
      `),
    bars: [],
  },
  {
    name: 'sata',
    text: 'SATA controller of the chipset (ich9-ahci)',
    behaviour: 'generic',
    config: () =>
      registerRows(`
        000: 86 80 22 29 00 00 10 00 02 01 06 01 00 00 80
        020: 01 00 00 00 00 00 00 00 00 00 00 00 f4 1a 00 11
        030: 00 00 00 00 80 00 00 00 00 00 00 00 00 01
        080: 05 a8 80
        090: 40
        0a0: 00 00 00 00 00 00 00 00 12 00 10 00 48
      `),
    bars: [ioBar(4, 0x20), memoryBar(5, 0x1000)],
  },
  {
    name: 'smbus',
    text: 'SMBus controller of the chipset (ich9 SMB)',
    behaviour: 'generic',
    config: () =>
      registerRows(`
        000: 86 80 30 29 00 00 00 00 02 00 05 0c 00 00 80
        020: 01 00 00 00 00 00 00 00 00 00 00 00 f4 1a 00 11
        030: 00 00 00 00 00 00 00 00 00 00 00 00 00 01
      `),
    bars: [ioBar(4, 0x40)],
  },
]
