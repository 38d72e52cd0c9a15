/**
 * VFIO_IOMMU_GET_INFO: page sizes, and a chain of capabilities (vfio_iommu_type1_get_info). Order:
 * migration, mappings left, address ranges.
 */
import { atLeast } from '../../base/kernel-version.ts'
import type { IoctlArgument } from '../process.ts'
import {
  capabilityChain,
  capabilityData,
  type InfoCapability,
  placeChain,
} from './capability-chain.ts'
import { MAX_BITMAP_BYTES } from './type1-dirty.ts'
import { pageSizes, type Type1State } from './type1-state.ts'
import { addressOf, sizedBuffer } from './user-buffer.ts'

const MINIMUM = 16
const BYTES = 24
const HAS_PAGE_SIZES = 1
const HAS_CAPABILITIES = 2
const CAPABILITY = { iovaRange: 1, migration: 2, dmaAvailable: 3 } as const

/** @throws Errno EFAULT, EINVAL */
export function getIommuInfo(state: Type1State, argument: IoctlArgument): void {
  const buffer = sizedBuffer(argument, MINIMUM)
  const { version } = state.context
  const argsz = buffer.u32(0)
  const chain = capabilityChain(version, capabilities(state), BYTES)
  const offset = placeChain(buffer, chain, BYTES)
  buffer.setU32(4, HAS_PAGE_SIZES | HAS_CAPABILITIES)
  buffer.setU64(8, pageSizes(state))
  if (argsz >= 20) buffer.setU32(16, offset)
  // The structure ended with the offset until padding was made explicit.
  if (argsz >= BYTES && atLeast(version, 6, 6)) buffer.setU32(20, 0)
}

function capabilities(state: Type1State): readonly InfoCapability[] {
  const smallest = addressOf(state.unitPages)
  return [
    {
      id: CAPABILITY.migration,
      version: 1,
      data: capabilityData(0, 0, smallest, [MAX_BITMAP_BYTES, 0]),
    },
    { id: CAPABILITY.dmaAvailable, version: 1, data: capabilityData(state.available) },
    {
      id: CAPABILITY.iovaRange,
      version: 1,
      data: capabilityData(
        state.ranges.length,
        0,
        ...state.ranges.flatMap(({ firstPage, lastPage }) => [
          addressOf(firstPage),
          addressOf(lastPage, 0xfff),
        ]),
      ),
    },
  ]
}
