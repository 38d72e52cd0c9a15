/** What can be looked at in a run: the kernel, and what its one user has open and has mapped. */
import type { Model } from '../src/model/model.ts'
import type { UserProcess } from '../src/model/user-process.ts'
import type { Container } from '../src/model/vfio/container.ts'

/** Pages at which users map in these worlds, and one where they never do. */
export const IOVA_PAGES: readonly number[] = [0x100, 0x200, 0x300]

export interface Observed {
  readonly model: Model
  readonly user: UserProcess
  /** Descriptors of the user by name: "container", "group 5", "device 0000:01:00.0". */
  readonly descriptors: Map<string, number>
  /** What the user mapped: physical page by container and IOVA page. */
  readonly mappings: Map<Container, Map<number, number>>
}
