import { describe, expect, it } from 'vitest'
import { bootedMachine, CARD, CARD_MATE, DISK } from '../model/machine/booted-machine.case.ts'
import { HandClock } from '../model/machine/vfio-user.case.ts'
import { modelKernel } from '../model/model-kernel.ts'
import { readIdentities } from './identities.ts'
import { type Paper, paperKernel } from './usage/paper-kernel.case.ts'

const DEVICES = '/sys/bus/pci/devices'

function paper(address: string, at: string, ids: Readonly<Record<string, string>>): Paper {
  const dir = `${DEVICES}/${address}`
  return {
    links: { [dir]: `../../../devices/${at}/${address}` },
    files: Object.fromEntries(Object.entries(ids).map(([name, text]) => [`${dir}/${name}`, text])),
  }
}

const IDS = {
  vendor: '0x10de\n',
  device: '0x1b80\n',
  subsystem_vendor: '0x1462\n',
  subsystem_device: '0x3362\n',
  class: '0x030000\n',
}

function pathOf(address: string, at: string): string | undefined {
  return readIdentities(paperKernel(paper(address, at, IDS)), [address])[0]?.path
}

describe('readIdentities()', () => {
  it('gives ids, subsystem and class', () => {
    const kernel = paperKernel(paper(CARD, 'pci0000:00/0000:00:01.0', IDS))
    expect(readIdentities(kernel, [CARD])).toEqual([
      { address: CARD, ids: '10de:1b80 1462:3362 030000', path: '00/01.0/00.0' },
    ])
  })

  it('gives the slots on the way, without the numbers of buses', () => {
    const far = 'pci0000:00/0000:00:1c.4/0000:05:00.0/0000:06:02.0'
    expect(pathOf('0000:07:00.1', far)).toBe('00/1c.4/00.0/02.0/00.1')
    expect(pathOf('0000:00:1f.2', 'pci0000:00')).toBe('00/1f.2')
    expect(pathOf('0000:81:00.0', 'pci0000:80/0000:80:03.1')).toBe('80/03.1/00.0')
  })

  it('keeps domains other than 0, and root buses behind a function', () => {
    expect(pathOf('0001:01:00.0', 'pci0001:00/0001:00:00.0')).toBe('0001:00/00.0/00.0')
    const vmd = 'pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0'
    expect(pathOf('10000:e1:00.0', vmd)).toBe('00/0e.0/10000:e0/06.0/00.0')
  })

  it('leaves out what is not there, and marks what cannot be read', () => {
    const kernel = paperKernel(
      paper(CARD, 'pci0000:00/0000:00:01.0', { ...IDS, device: '!EACCES', class: '!EIO' }),
    )
    expect(readIdentities(kernel, ['0000:99:00.0', CARD])).toEqual([
      { address: CARD, ids: '10de:? 1462:3362 ?', path: '00/01.0/00.0' },
    ])
  })

  it('tells every function of a model from the others', () => {
    const kernel = modelKernel(bootedMachine(), { clock: new HandClock() })
    const identities = readIdentities(kernel, [CARD, CARD_MATE, DISK])
    expect(identities.map(({ path }) => path)).toEqual([
      '00/01.0/00.0',
      '00/01.0/00.1',
      '00/02.0/00.0',
    ])
    expect(identities[0]?.ids).toBe('8086:10d3 8086:0000 020000')
  })
})
