import { describe, expect, it } from 'vitest'
import { IsogroupError } from '../base/errors.ts'
import { known } from '../base/fact.ts'
import type { HostSnapshot, PciFunction } from '../isolation/host.ts'
import { lspciHost } from './lspci-host.ts'
import { parseLspci } from './parse-lspci.ts'
import { DENIED, NAMES, VERBOSE } from './sample.case.ts'

function parse(text: string): HostSnapshot {
  return parseLspci(text, { label: 'test', names: NAMES })
}

function fn(snapshot: HostSnapshot, address: string): PciFunction {
  const found = snapshot.functions.find((candidate) => candidate.address === address)
  if (found === undefined) throw new Error(`no ${address}`)
  return found
}

describe('parseLspci on root output of lspci -vvnn', () => {
  const host = parse(VERBOSE)

  it('finds every function in order', () => {
    expect(host.functions.map((found) => found.address)).toEqual([
      '0000:00:00.0',
      '0000:00:1c.0',
      '0000:01:00.0',
      '0000:01:00.1',
      '0000:01:10.0',
    ])
  })

  it('reads all facts of a port', () => {
    expect(fn(host, '0000:00:1c.0')).toMatchObject({
      parent: null,
      vendor: known(0x8086),
      device: known(0x9db8),
      classCode: known(0x060400),
      revision: known(0xf0),
      subsystem: known({ vendor: 0x1028, device: 0x08b0 }),
      name: 'Intel Corporation Cannon Point-LP PCI Express Root Port #1',
      className: 'PCI bridge',
      driver: known('pcieport'),
      group: known('1'),
      physicalFunction: known(null),
      config: {
        headerType: known(1),
        multifunction: known(false),
        buses: known({ primary: 0, secondary: 1, subordinate: 3 }),
        pcie: known({ type: 4 }),
        acs: known({
          bits: known({ capability: 0x1f, control: 0x1d }),
          wideBits: { known: false },
        }),
        sriov: known(null),
        capabilities: known([0x10, 0x05, 0x0d]),
        extendedCapabilities: known([0x01, 0x0d]),
      },
    })
  })

  it('puts functions below the bridge whose secondary bus they are on', () => {
    expect(fn(host, '0000:01:00.0').parent).toBe('0000:00:1c.0')
    expect(fn(host, '0000:00:00.0').parent).toBeNull()
  })

  it('tells the functions of one slot from a lone one', () => {
    expect(fn(host, '0000:01:00.0').config.multifunction).toEqual(known(true))
    expect(fn(host, '0000:01:00.1').config.multifunction).toEqual(known(true))
    expect(fn(host, '0000:00:00.0').config.multifunction).toEqual(known(false))
  })

  it('finds the physical function of a virtual one', () => {
    expect(fn(host, '0000:01:10.0').physicalFunction).toEqual(known('0000:01:00.0'))
    expect(fn(host, '0000:01:10.0').config.multifunction).toEqual(known(false))
    expect(fn(host, '0000:01:00.1').physicalFunction).toEqual(known(null))
  })

  it('knows that a function without a driver line has no driver', () => {
    expect(fn(host, '0000:01:00.1').driver).toEqual(known(null))
  })

  it('lists the groups', () => {
    expect(host.groups).toMatchObject(
      known([
        { id: '0', members: ['0000:00:00.0'] },
        { id: '1', members: ['0000:00:1c.0'] },
        { id: '13', members: ['0000:01:00.0'] },
        { id: '14', members: ['0000:01:00.1'] },
        { id: '15', members: ['0000:01:10.0'] },
      ]),
    )
  })

  it('says what a text cannot tell', () => {
    expect(host.source).toBe('lspci text test')
    expect(host.units.known || host.interruptChips.known || host.vfio.modules.known).toBe(false)
    expect(host.kernelRelease.known || host.commandLine.known).toBe(false)
  })
})

describe('parseLspci gives the same for', () => {
  const wrap = (text: string, width: number): string =>
    text
      .split('\n')
      .flatMap((line) => {
        const lines: string[] = []
        for (const word of line.trim().split(/\s+/)) {
          const last = lines.at(-1)
          if (last === undefined || last.length + 1 + word.length > width) lines.push(word)
          else lines[lines.length - 1] = `${last} ${word}`
        }
        return lines
      })
      .join('\n')
  const quote = (text: string): string => text.replace(/^/gm, '> ')

  it.each([
    ['CRLF line ends', VERBOSE.replaceAll('\n', '\r\n')],
    ['lost indentation', VERBOSE.replace(/^\t+/gm, '')],
    ['tabs turned into blanks', VERBOSE.replaceAll('\t', '        ')],
    ['trailing blanks', VERBOSE.replaceAll('\n', '  \n')],
    ['lines wrapped at 72 columns', wrap(VERBOSE, 72)],
    ['lines wrapped at 60 columns', wrap(VERBOSE, 60)],
    ['quoted mail', quote(VERBOSE)],
    ['wrapped and twice quoted mail', quote(quote(wrap(VERBOSE, 68)))],
    [
      'a web page',
      VERBOSE.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;'),
    ],
    ['double line spacing', VERBOSE.replaceAll('\n', '\n\n')],
    ['quoted-printable mail', VERBOSE.replaceAll('=', '=3D')],
    ['printed domains', VERBOSE.replace(/^(?=[0-9a-f]{2}:[0-9a-f]{2}\.)/gm, '0000:')],
    ['a mail around it', `Hello,\n\nmy 01:00.0 fails.\n\n# lspci -vvnn\n${VERBOSE}\nThanks\n`],
    ['warnings of lspci', `pcilib: sysfs_read_vpd: read failed\n${VERBOSE}lspci: Unable to load\n`],
    ['a tree in front', `-[0000:00]-+-00.0\n           +-1c.0-[01]----00.0\n\n${VERBOSE}`],
    [
      'a short listing in front',
      `00:1c.0 PCI bridge: Intel Corporation Cannon Point\n\n${VERBOSE}`,
    ],
    ['the same again without permissions', `${VERBOSE}\n${DENIED}`],
    ['the same before without permissions', `${DENIED}\n${VERBOSE}`],
  ])('%s', (_, text) => {
    expect(parse(text)).toEqual(parse(VERBOSE))
  })
})

describe('parseLspci on a device that is printed several times', () => {
  const control = (host: HostSnapshot): unknown => {
    const acs = fn(host, '0000:00:1c.0').config.acs
    return acs.known && acs.value?.bits.known ? acs.value.bits.value.control : null
  }
  const OFF = VERBOSE.replace('ACSCtl:\tSrcValid+', 'ACSCtl:\tSrcValid-')

  it('believes the later one of two that tell the same amount', () => {
    expect(control(parse(`${VERBOSE}${OFF}`))).toBe(0x1c)
    expect(control(parse(`${OFF}${VERBOSE}`))).toBe(0x1d)
  })

  it('believes the whole one of two of which one is cut', () => {
    const cut = OFF.slice(0, OFF.indexOf('EgressCtrl- DirectTrans-\n\tKernel') + 25)
    expect(control(parse(cut))).toBe(0x1c)
    expect(control(parse(`${VERBOSE}${cut}`))).toBe(0x1d)
  })
})

describe('parseLspci on less', () => {
  it('knows what lspci -v shows an ordinary user', () => {
    const port = fn(parse(DENIED), '0000:00:1c.0')
    expect(port).toMatchObject({
      group: known('1'),
      driver: known('pcieport'),
      config: { buses: known({ primary: 0, secondary: 1, subordinate: 3 }), headerType: known(1) },
    })
    const { pcie, acs, functionLevelReset, capabilities } = port.config
    for (const fact of [pcie, acs, functionLevelReset, capabilities]) {
      expect(fact).toMatchObject({ known: false, why: expect.stringContaining('denied') as string })
    }
  })

  it('does not make up interface, driver, groups or capabilities of a plain listing', () => {
    const host = parse('00:1c.0 PCI bridge [0604]: Intel Corporation X [8086:9db8] (rev f0)\n')
    const port = fn(host, '0000:00:1c.0')
    const { acs, pcie, buses } = port.config
    for (const fact of [
      port.driver,
      port.group,
      port.classCode,
      port.subsystem,
      acs,
      pcie,
      buses,
    ]) {
      expect(fact.known).toBe(false)
    }
    expect(port.config.headerType).toEqual(known(1))
    expect(host.groups.known).toBe(false)
  })

  it('knows the whole class where a class has one interface only', () => {
    const host = parse('00:00.2 IOMMU [0806]: Advanced Micro Devices, Inc. X [1022:1631]\n')
    expect(host.functions[0]?.classCode).toEqual(known(0x080600))
  })

  it('knows which drivers are missing from lspci -k', () => {
    const host = parse(
      '00:00.0 Host bridge: Intel Corporation A\n00:1f.3 Audio device: Intel Corporation B\n' +
        '\tKernel driver in use: snd_hda_intel\n\tKernel modules: snd_hda_intel\n\n',
    )
    expect(host.functions.map((found) => found.driver)).toEqual([
      known(null),
      known('snd_hda_intel'),
    ])
  })

  it('reads machine-readable records', () => {
    const host = parse(
      'Slot:\t0000:01:00.0\nClass:\tVGA compatible controller [0300]\nVendor:\tNVIDIA [10de]\n' +
        'Device:\tGP104 [1b80]\nSVendor:\tZ [19da]\nSDevice:\tD [1451]\nRev:\ta1\nProgIf:\t00\n' +
        'Driver:\tnouveau\nIOMMUGroup:\t13\n\n',
    )
    expect(host.functions[0]).toMatchObject({
      vendor: known(0x10de),
      device: known(0x1b80),
      classCode: known(0x030000),
      revision: known(0xa1),
      subsystem: known({ vendor: 0x19da, device: 0x1451 }),
      driver: known('nouveau'),
      group: known('13'),
    })
  })
})

describe('parseLspci on hex dumps', () => {
  const row = (offset: string, bytes: string): string => `${offset}: ${bytes}\n`
  const zeros = '00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00'
  const header =
    row('00', '86 80 b8 9d 07 04 10 00 f0 00 04 06 10 00 81 00') +
    row('10', '00 00 00 00 00 00 00 00 00 05 07 00 d1 e1 00 20') +
    row('20', zeros) +
    row('30', '00 00 00 00 40 00 00 00 00 00 00 00 00 00 00 00')

  it('believes the bytes more than the text', () => {
    const text = VERBOSE.replace(/(?<=in use: pcieport\n)/, header).replace(
      '[8086:9db8]',
      '[8086:ffff]',
    )
    const port = fn(parse(text), '0000:00:1c.0')
    expect(port.device).toEqual(known(0x9db8))
    expect(port.config.multifunction).toEqual(known(true))
    expect(port.config.buses).toEqual(known({ primary: 0, secondary: 5, subordinate: 7 }))
    expect(port.config.size).toBe(64)
  })

  it('takes from the text what the bytes do not reach', () => {
    const text = VERBOSE.replace(/(?<=in use: pcieport\n)/, header)
    expect(fn(parse(text), '0000:00:1c.0').config.acs).toEqual(
      fn(parse(VERBOSE), '0000:00:1c.0').config.acs,
    )
  })

  it('reads a dump alone', () => {
    const port = fn(parse(`00:1c.0 PCI bridge: X\n${header}\n`), '0000:00:1c.0')
    expect(port).toMatchObject({ vendor: known(0x8086), classCode: known(0x060400) })
    expect(port.config.acs.known).toBe(false)
  })

  it('takes the ids of a virtual function from the text', () => {
    const bytes = header.replace('86 80 b8 9d', 'ff ff ff ff')
    const text = `01:10.0 Ethernet controller [0200]: Intel VF [8086:1520] (rev 01)\n${bytes}\n`
    expect(parse(text).functions[0]).toMatchObject({ vendor: known(0x8086), device: known(0x1520) })
  })

  it('knows nothing of the registers of a device that does not answer', () => {
    const ones = zeros.replaceAll('00', 'ff')
    const dump = ['00', '10', '20', '30'].map((offset) => row(offset, ones)).join('')
    const text = `01:00.0 Ethernet controller [0200]: X [8086:1521] (rev ff) (prog-if ff)\n${dump}\n`
    const silent = parse(text).functions[0]
    expect(silent).toMatchObject({ vendor: known(0x8086), revision: { known: false } })
    expect(silent?.config.headerType).toMatchObject({
      why: expect.stringContaining('does not answer') as string,
    })
  })
})

describe('parseLspci without a device', () => {
  it.each([
    ['', 'the text is empty'],
    ['\n \n', 'the text is empty'],
    ['-[0000:00]-+-00.0\n', 'begins with "-[0000:00]-+-00.0"'],
    ['hello\n', 'begins with "hello"'],
  ])('refuses %j and says what it saw', (text, seen) => {
    let failure: unknown
    try {
      parse(text)
    } catch (error) {
      failure = error
    }
    expect(failure).toBeInstanceOf(IsogroupError)
    expect(failure).toMatchObject({
      code: 'bad-lspci',
      message: expect.stringContaining(seen) as string,
      hint: expect.stringContaining('lspci -vvnn') as string,
    })
  })
})

describe('lspciHost', () => {
  it('gives the snapshot and says that text does not tell the rest', () => {
    const snapshot = parse(VERBOSE)
    const host = lspciHost(snapshot)
    expect(host.snapshot()).toBe(snapshot)
    expect(host.readiness().memlock).toEqual({ known: false, why: 'lspci text does not say' })
    const [port, nic, none] = host.details(['0000:00:1c.0', '0000:01:00.0', '0000:77:00.0'])
    expect(port).toMatchObject({ address: '0000:00:1c.0', sriov: known(null) })
    expect(nic?.sriov.known).toBe(false)
    expect(none?.sriov.known).toBe(false)
  })
})
