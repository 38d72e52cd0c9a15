/** A machine with one device in the hands of a program. */
import { bind, Program, type TestMachine, testMachine } from '../machine.case.ts'

export function driven(
  address: string,
  release = '6.12.117',
): { machine: TestMachine; program: Program; container: number; group: number; device: number } {
  const machine = testMachine({ release })
  bind(machine, address)
  const program = new Program(machine)
  return { machine, program, ...program.drive(address) }
}
