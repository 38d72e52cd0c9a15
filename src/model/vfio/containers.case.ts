/** Containers with a group in them, for tests of mapping. */
import type { Domain } from '../iommu/domain.ts'
import {
  bind,
  deviceAt,
  errnoOf,
  NIC,
  Program,
  type TestMachine,
  testMachine,
  type TestMachineOptions,
  wide,
  words,
} from './machine.case.ts'
import { REQUEST } from './vfio-abi.ts'

/** A container with the first network function in it. */
export function opened(
  options: TestMachineOptions = {},
  type = 3,
): { machine: TestMachine; program: Program; container: number; group: number } {
  const machine = testMachine(options)
  bind(machine, NIC)
  const program = new Program(machine)
  const { container, groups } = program.container([NIC], type)
  return { machine, program, container, group: groups[0] ?? -1 }
}

/** Where DMA of a function goes now. */
export function domainOf(machine: TestMachine, address: string): Domain {
  const domain = deviceAt(machine, address).iommuGroup?.domain ?? null
  if (domain === null) throw new Error('no domain')
  return domain
}

/** Memory and the argument of a map call, with some fields different. */
export function mapWith(
  program: Program,
  container: number,
  change: Partial<{
    argsz: number
    flags: number
    iova: number[]
    vaddr: number[]
    size: number[]
  }>,
): string {
  const memory = program.memory(2)
  const vaddr = change.vaddr ?? wide(memory.address)
  const iova = change.iova ?? wide(0x100000)
  const size = change.size ?? wide(8192)
  const argument = words(change.argsz ?? 32, change.flags ?? 3, ...vaddr, ...iova, ...size)
  return errnoOf(() => program.ioctl(container, REQUEST.iommuMapDma, argument))
}
