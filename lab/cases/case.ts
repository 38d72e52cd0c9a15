/**
 * What a lab case is: a machine, a kernel, and a conversation with the booted guest that ends in
 * findings. No finding means that the case passed; a case that throws has failed as well.
 */
import type { Guest } from '../guest.ts'
import type { GuestProgram } from '../initramfs.ts'
import type { KernelSeries } from '../kernels.ts'
import type { Machine } from '../qemu.ts'

export type LabFinding = {
  /** What was checked, in a few words. */
  readonly check: string
  /** What was found instead; may have several lines. */
  readonly detail: string
}

export type CaseWorld = {
  readonly guest: Guest
  readonly program: GuestProgram
  readonly kernel: KernelSeries
  /** A directory for files taken out of the guest; it goes when the guest goes. */
  readonly scratch: string
  /** Starts another machine beside the case's own; it ends with the case. */
  readonly boot: (machine: Machine, kernel: KernelSeries) => Promise<Guest>
  /** Keeps something for the person who will look into a failure; overwrites by name. */
  readonly keepEvidence: (name: string, content: Buffer | string) => void
  /** Prints a line of figures, whether the case passes or not. */
  readonly say: (line: string) => void
}

export type LabCase = {
  readonly name: string
  readonly kernel: KernelSeries
  /** Kernels that machines started by the case need. */
  readonly otherKernels?: readonly KernelSeries[]
  readonly machine: Machine
  /** How to run this case alone, after `npm run lab --`. */
  readonly replay: string
  /** Makes further files for the guest. @returns their paths below the project root */
  readonly prepare?: (projectRoot: string) => Promise<readonly string[]>
  readonly run: (world: CaseWorld) => Promise<readonly LabFinding[]>
}
