import { describe, expect, it } from 'vitest'
import { opened } from './containers.case.ts'
import { bind, errnoOf, fields, NIC, Program, testMachine, words } from './machine.case.ts'
import { REQUEST } from './vfio-abi.ts'

describe('IOMMU_GET_INFO, byte for byte', () => {
  function info(release: string, argsz: number): { result: string; words: number[] } {
    const { program, container } = opened({ release })
    const argument = new Uint8Array(Math.max(argsz, 24)).fill(0xee)
    argument.set(words(argsz))
    const result = errnoOf(() => program.ioctl(container, REQUEST.iommuGetInfo, argument))
    return { result, words: fields(argument) }
  }

  it('asks for room first: 120 bytes on 6.12, 116 on 6.1', () => {
    expect(info('6.12.117', 24).words).toEqual([120, 3, 0x40201000, 0, 0, 0])
    // Padding was not part of the structure.
    expect(info('6.1.192', 24).words).toEqual([116, 3, 0x40201000, 0, 0, 0xeeeeeeee])
    expect(info('6.12.117', 16).words).toEqual([120, 3, 0x40201000, 0, 0xeeeeeeee, 0xeeeeeeee])
    expect(info('6.12.117', 15).result).toBe('EINVAL')
    expect(info('6.1.192', 119).words[0]).toBe(119)
    expect(info('6.12.117', 119).words[0]).toBe(120)
  })

  const migration = [0x00010002, 56, 0, 0, 0x1000, 0, 0x10000000, 0]
  const ranges = [2, 0, 0, 0, 0xfedfffff, 0, 0xfef00000, 0, 0xffffffff, 0x7f]

  it('with room: migration, mappings left, addresses; aligned on 6.12', () => {
    expect(info('6.12.117', 120)).toEqual({
      result: 'ok',
      words: [
        ...[120, 3, 0x40201000, 0, 24, 0],
        ...migration,
        ...[0x00010003, 72, 65535, 0],
        ...[0x00010001, 0, ...ranges],
      ],
    })
  })

  it('with room: packed on 6.1', () => {
    expect(info('6.1.192', 116)).toEqual({
      result: 'ok',
      words: [
        ...[116, 3, 0x40201000, 0, 24, 0xeeeeeeee],
        ...migration,
        ...[0x00010003, 68, 65535],
        ...[0x00010001, 0, ...ranges],
      ],
    })
  })

  it('counts mappings down from dma_entry_limit as it was at SET_IOMMU', () => {
    const machine = testMachine({ commandLine: 'quiet vfio_iommu_type1.dma_entry_limit=3' })
    bind(machine, NIC)
    const program = new Program(machine)
    const { container } = program.container([NIC])
    machine.vfio.parameters.dmaEntryLimit.set('100')
    const left = (): number => {
      const argument = new Uint8Array(200)
      argument.set(words(200))
      program.ioctl(container, REQUEST.iommuGetInfo, argument)
      return fields(argument)[16] ?? -1
    }
    const memory = program.memory(1)
    expect(left()).toBe(3)
    for (const iova of [0, 0x1000, 0x2000]) program.map(container, memory.address, iova, 1)
    expect(left()).toBe(0)
    expect(errnoOf(() => program.map(container, memory.address, 0x3000, 1))).toBe('ENOSPC')
    expect(errnoOf(() => program.map(container, memory.address, 0x2000, 1))).toBe('EEXIST')
    program.unmap(container, 0, 0x2000)
    expect(left()).toBe(2)
  })
})
