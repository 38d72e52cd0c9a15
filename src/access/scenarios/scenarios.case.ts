/**
 * What programs do with devices, once for every host: the unit tests run it on models, the lab in a guest on real
 * kernels. Two teaching devices (edu), each alone in a group that is claimed.
 */
import { computes, endsLoops, interruptPin, resets, silentRegisters } from './device.case.ts'
import { leavesNothing, refusals, removed, removedAlone } from './life.case.ts'
import {
  addsAndRemoves,
  givesAddresses,
  limitOfMappings,
  mapsParts,
  merges,
  movesMemory,
  onlyReads,
  reachesNothing,
} from './memory.case.ts'
import type { Scenario } from './world.case.ts'

export const scenarios: readonly Scenario[] = [
  { name: 'computes, and is told by an interrupt', run: computes },
  { name: 'moves memory to the device and back', run: movesMemory },
  { name: 'reaches nothing that is not mapped, and the fault is seen', run: reachesNothing },
  { name: 'reads only where it may only read', run: onlyReads },
  { name: 'merges two groups into one address space', run: merges },
  { name: 'adds a group to a living context and removes it', run: addsAndRemoves },
  { name: 'gives addresses as they are wanted', run: givesAddresses },
  { name: 'maps parts, one after the other', run: mapsParts },
  { name: 'tells the limit of mappings', run: limitOfMappings },
  { name: 'refuses registers that do not answer', run: silentRegisters },
  { name: 'resets the slot, and nothing else', run: resets },
  { name: 'is told by the interrupt pin', run: interruptPin },
  { name: 'ends loops over interrupts with the device', run: endsLoops },
  { name: 'lets a device go that the host wants back', run: removed },
  { name: 'survives the loss of its only group', run: removedAlone },
  { name: 'refuses with the reason and the next step', run: refusals },
  { name: 'leaves nothing behind', run: leavesNothing },
]
