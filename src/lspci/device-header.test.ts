import { describe, expect, it } from 'vitest'
import { known } from '../base/fact.ts'
import { parseHeader, parseSubsystem } from './device-header.ts'
import { NAMES } from './sample.case.ts'

const PORT = 'Intel Corporation Cannon Point-LP PCI Express Root Port #1'

describe('parseHeader', () => {
  it.each([
    ['lspci -nn', `PCI bridge [0604]: ${PORT} [8086:9db8] (rev f0) (prog-if 00 [Normal decode])`],
    ['names only', `PCI bridge: ${PORT} (rev f0) (prog-if 00 [Normal decode])`],
    ['lspci -n', '0604: 8086:9db8 (rev f0) (prog-if 00 [Normal decode])'],
    ['pciutils 2 -n', 'Class 0604: 8086:9db8 (rev f0) (prog-if 00)'],
    ['lspci -mmnn', '"PCI bridge [0604]" "Intel Corporation [8086]" "Port [9db8]" -rf0 -p00 "" ""'],
    ['lspci -mmn', '"0604" "8086" "9db8" -rf0 -p00 "" ""'],
  ])('reads the ids of %s', (_, header) => {
    expect(parseHeader(header, false, NAMES)).toMatchObject({
      baseClass: known(0x0604),
      vendor: known(0x8086),
      device: known(0x9db8),
      revision: known(0xf0),
      interfaceByte: 0,
    })
  })

  it('takes the number of a device that pci.ids has no name for', () => {
    const read = parseHeader('Host bridge: Intel Corporation Device 8a12', false, NAMES)
    expect(read).toMatchObject({ vendor: known(0x8086), device: known(0x8a12) })
    const old = parseHeader('PCI bridge: Intel Corp.: Unknown device 2448', false, NAMES)
    expect(old).toMatchObject({ vendor: known(0x8086), device: known(0x2448) })
    const nameless = parseHeader('Ethernet controller: Device 1d0f:ec20', false, null)
    expect(nameless).toMatchObject({ vendor: known(0x1d0f), device: known(0xec20), name: null })
  })

  it('gives the vendor alone where a name is ambiguous', () => {
    const read = parseHeader('Audio device: Intel Corporation HD Audio (rev 21)', false, NAMES)
    expect(read.vendor).toEqual(known(0x8086))
    expect(read.device.known).toBe(false)
    expect(read.name).toBe('Intel Corporation HD Audio')
  })

  it('leaves ids unknown when there is no pci.ids', () => {
    const read = parseHeader(`PCI bridge: ${PORT}`, false, null)
    expect(read.vendor.known || read.device.known).toBe(false)
    expect(read.baseClass).toEqual(known(0x0604))
  })

  it('takes brackets inside names for what they are', () => {
    const header = 'Audio device [0403]: Advanced Micro Devices, Inc. [AMD/ATI] Navi [1002:ab28]'
    expect(parseHeader(header, false, null)).toMatchObject({
      name: 'Advanced Micro Devices, Inc. [AMD/ATI] Navi',
      device: known(0xab28),
    })
  })

  it('names a device that -nn prints without a name by its number', () => {
    expect(
      parseHeader('Host bridge [0600]: Intel Corporation Device [8086:8a12]', false, null).name,
    ).toBe('Intel Corporation Device 8a12')
  })

  it('reads a revision that is not printed as zero, unless the line was cut', () => {
    expect(parseHeader('0604: 8086:9db8', false, null).revision).toEqual(known(0))
    expect(parseHeader('0604: 8086:9db8', true, null).revision.known).toBe(false)
  })

  it('does not resolve a name that was cut off', () => {
    expect(parseHeader(`PCI bridge: ${PORT}`, true, NAMES).device.known).toBe(false)
  })

  it('asks pci.ids for classes it does not know itself', () => {
    const header = 'Signal processing controller: Intel Corporation Device 8a12'
    expect(parseHeader(header, false, NAMES).baseClass).toEqual(known(0x1180))
    expect(parseHeader(header, false, null).baseClass.known).toBe(false)
  })
})

describe('parseSubsystem', () => {
  it.each(['Dell Device [1028:08b0]', '1028:08b0', 'Device 1028:08b0', 'Dell Device 08b0'])(
    'reads the numbers of "%s"',
    (text) => {
      expect(parseSubsystem(text, NAMES)).toEqual(known({ vendor: 0x1028, device: 0x08b0 }))
    },
  )

  it("does not take a device's own name for the subsystem's numbers", () => {
    expect(parseSubsystem(PORT, NAMES).known).toBe(false)
  })
})
