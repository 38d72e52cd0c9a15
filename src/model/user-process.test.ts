import { describe, expect, it } from 'vitest'
import { testContext } from './iommu/fake-unit.case.ts'
import type { OpenFile } from './process.ts'
import { runNow } from './task.ts'
import { UserProcess } from './user-process.ts'
import { errnoOf } from './vfio/machine.case.ts'

function file(name: string, log: string[]): OpenFile {
  return {
    kind: name,
    release: () => {
      log.push(name)
      return undefined
    },
  }
}

describe('UserProcess', () => {
  it('gives out the lowest free descriptor', () => {
    const program = new UserProcess(testContext(), { name: 'a', pid: 2 })
    const log: string[] = []
    const [a, b, c] = ['a', 'b', 'c'].map((name) => program.install(file(name, log)))
    expect([a, b, c]).toEqual([3, 4, 5])
    runNow(program.close(4))
    expect(program.install(file('d', log))).toBe(4)
    expect(log).toEqual(['b'])
  })

  it('releases a file when the last of its descriptors is closed, in whatever process', () => {
    const context = testContext()
    const one = new UserProcess(context, { name: 'a', pid: 2 })
    const other = new UserProcess(context, { name: 'b', pid: 3 })
    const log: string[] = []
    const first = one.install(file('x', log))
    const second = one.duplicate(first)
    const passed = other.install(one.file(first))
    runNow(one.close(first))
    runNow(one.close(second))
    expect(log).toEqual([])
    runNow(other.close(passed))
    expect(log).toEqual(['x'])
    expect(errnoOf(() => runNow(other.close(passed)))).toBe('EBADF')
    expect(errnoOf(() => one.file(first))).toBe('EBADF')
  })

  it('closes everything in the order of descriptors when it exits', () => {
    const program = new UserProcess(testContext(), { name: 'a', pid: 2 })
    const log: string[] = []
    for (const name of ['a', 'b', 'c']) program.install(file(name, log))
    runNow(program.close(3))
    program.install(file('late', log))
    runNow(program.exit())
    expect(log).toEqual(['a', 'late', 'b', 'c'])
  })

  it('gives root all capabilities and others none', () => {
    const context = testContext()
    const root = new UserProcess(context, { name: 'a', pid: 2 })
    const other = new UserProcess(context, { name: 'a', pid: 3, uid: 1000 })
    expect(root.capabilities.has('CAP_IPC_LOCK')).toBe(true)
    expect(other.capabilities.size).toBe(0)
  })
})

describe('memory of a process', () => {
  it('is zeroed, page-aligned, below 2^47, and the bytes are those of physical memory', () => {
    const context = testContext()
    const { memory } = new UserProcess(context, { name: 'a', pid: 2 })
    const mapping = memory.allocate(5000)
    expect(mapping.bytes.length).toBe(8192)
    expect(mapping.address % 4096).toBe(0)
    expect(mapping.address).toBeLessThan(2 ** 47)
    expect(mapping.bytes.every((byte) => byte === 0)).toBe(true)
    const page = memory.physicalPage(mapping.address / 4096 + 1)
    if (page === undefined) throw new Error('not mapped')
    context.memory.bytes(page, 1)[7] = 9
    expect(mapping.bytes[4096 + 7]).toBe(9)
  })

  it('frees pages at munmap, but not while they are pinned', () => {
    const context = testContext()
    const { memory } = new UserProcess(context, { name: 'a', pid: 2 })
    const before = context.memory.usedPages
    const mapping = memory.allocate(3 * 4096)
    const pin = memory.pin(mapping.address / 4096 + 1, 10)
    expect(pin?.pages).toBe(2)
    mapping.release()
    mapping.release()
    expect(memory.physicalPage(mapping.address / 4096)).toBeUndefined()
    expect(context.memory.usedPages).toBe(before + 3)
    pin?.unpin()
    expect(context.memory.usedPages).toBe(before)
  })

  it('copies across mappings and stops at a hole', () => {
    const { memory } = new UserProcess(testContext(), { name: 'a', pid: 2 })
    const first = memory.allocate(4096)
    const second = memory.allocate(4096)
    expect(second.address).toBe(first.address + 4096)
    expect(memory.copyTo(first.address + 4094, Uint8Array.of(1, 2, 3, 4))).toBe(true)
    expect([...first.bytes.subarray(4094), ...second.bytes.subarray(0, 2)]).toEqual([1, 2, 3, 4])
    expect([...(memory.copyFrom(first.address + 4095, 2) ?? [])]).toEqual([2, 3])
    expect(memory.copyFrom(second.address + 4095, 2)).toBeNull()
    expect(memory.copyTo(second.address + 4095, Uint8Array.of(1, 2))).toBe(false)
  })

  it('cannot pin registers of a device', () => {
    const { memory } = new UserProcess(testContext(), { name: 'a', pid: 2 })
    const window = memory.mapWindow({ bytes: new Uint8Array(4096) })
    expect(memory.pin(window.address / 4096, 1)).toBeUndefined()
    expect(memory.physicalPage(window.address / 4096)).toBeUndefined()
  })

  it('goes as a whole when the process exits', () => {
    const context = testContext()
    const before = context.memory.usedPages
    const program = new UserProcess(context, { name: 'a', pid: 2 })
    program.memory.allocate(10 * 4096)
    program.memory.allocate(3 * 2 ** 20)
    runNow(program.exit())
    expect(context.memory.usedPages).toBe(before)
  })
})
