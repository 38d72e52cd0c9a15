import { describe, expect, it } from 'vitest'
import type { Performer } from './perform.ts'
import { Random } from '../random.ts'
import { write } from './generate-files.ts'
import { traceUniverse } from './machine.ts'
import { World } from './world.ts'

const NIC = '0000:01:00.0'
const NVME = '0000:04:00.0'
const EDU = '0000:03:01.0'
const PORT = '0000:00:03.0'

/** Nothing is open, and nothing seen. */
function world(release: string): World {
  const performer: Pick<Performer, 'file'> = { file: () => undefined }
  const side = { performer: performer as Performer, state: new Map<string, string>() }
  return new World(traceUniverse, new Random(1), side, release)
}

function allowed(release: string, path: string, text: string): boolean {
  return write(world(release), `/sys/bus/pci/${path}`, text) !== undefined
}

function overridden(release: string, driver: string): readonly string[] {
  return [NIC, NVME, EDU, PORT].filter((one) =>
    allowed(release, `devices/${one}/driver_override`, driver),
  )
}

describe('write()', () => {
  it('gives functions only to drivers that survive it', () => {
    expect(overridden('6.1.0-51-amd64', 'e1000e')).toEqual([NIC])
    expect(overridden('6.12.117', 'e1000e')).toEqual([NIC])
    expect(overridden('6.1.0-51-amd64', 'nvme')).toEqual([NVME])
    expect(overridden('6.12.117', 'nvme')).toEqual([NIC, NVME, EDU, PORT])
    expect(overridden('6.1.0-51-amd64', 'pci-stub')).toEqual([NIC, NVME, EDU, PORT])
  })

  it('tells them only of ids that they survive', () => {
    const ids = (release: string, driver: string): readonly string[] =>
      ['8086 10d3', '1b36 0010', '0x1234 0x11e8', 'dead beef'].filter((text) =>
        allowed(release, `drivers/${driver}/new_id`, text),
      )
    expect(ids('6.12.117', 'e1000e')).toEqual(['8086 10d3', 'dead beef'])
    expect(ids('6.1.0-51-amd64', 'nvme')).toEqual(['1b36 0010', 'dead beef'])
    expect(ids('6.12.117', 'nvme')).toHaveLength(4)
    expect(ids('6.1.0-51-amd64', 'vfio-pci')).toHaveLength(4)
  })
})
