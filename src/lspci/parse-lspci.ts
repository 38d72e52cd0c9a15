/**
 * From pasted lspci text to a HostSnapshot.
 *
 *     text -> clean lines -> blocks -> facts of each function -> places in the tree -> snapshot
 *
 * The text may be any mixture that people paste: several runs of lspci with different options, hex
 * dumps, mail quotes, wrapped lines, kernel log around it. What it does not tell is unknown with the
 * reason. Only a text without any device is refused.
 */
import { IsogroupError } from '../base/errors.ts'
import { unknown } from '../base/fact.ts'
import type { HostSnapshot, PciFunction } from '../isolation/host.ts'
import type { NameIndex } from '../pci/pci-ids.ts'
import { readBlocks } from './blocks.ts'
import { type FunctionText, readFunctions } from './function-facts.ts'
import { type KernelGroups, kernelGroups } from './kernel-groups.ts'
import { hostedBuses, type Place, placeFunctions } from './placement.ts'
import { readSurroundings } from './surroundings.ts'
import { type CleanText, cleanLines } from './text-lines.ts'

export interface LspciOptions {
  /** Where the text is from, for messages: "board.txt", "standard input". */
  readonly label: string
  /** Names back to numbers; without it, texts without `-nn` have unknown ids. */
  readonly names?: NameIndex
}

const NOT_SAID = 'lspci text does not say'

/**
 * Reads a text of `lspci -v`, `-vv`, `-x...`, `-mm` or plain, in any mixture and state.
 *
 * @throws IsogroupError bad-lspci when no device is in it
 */
export function parseLspci(text: string, options: LspciOptions): HostSnapshot {
  const clean = cleanLines(text)
  const blocks = readBlocks(clean)
  if (blocks.length === 0) throw noDevice(clean, options.label)
  const surroundings = readSurroundings(clean)
  const groups = kernelGroups(blocks, surroundings.logged)
  const fns = readFunctions(blocks, options.names ?? null, clean.endsWithLine)
  const places = placeFunctions(fns)
  return {
    source: `lspci text ${options.label}`,
    kernelRelease: surroundings.kernelRelease,
    commandLine: surroundings.commandLine,
    functions: fns.map((fn) => pciFunction(fn, places.get(fn.address), groups)),
    hostedBuses: hostedBuses(fns, places),
    groups: groups.groups,
    otherDevices: groups.otherDevices,
    units: unknown(NOT_SAID),
    interruptChips: unknown(NOT_SAID),
    vfio: { modules: unknown(NOT_SAID), parameters: {}, nodes: unknown(NOT_SAID) },
  }
}

function pciFunction(
  fn: FunctionText,
  place: Place | undefined,
  groups: KernelGroups,
): PciFunction {
  const note = place?.note ?? null
  return {
    address: fn.address,
    parent: place?.parent ?? null,
    vendor: fn.vendor,
    device: fn.device,
    classCode: fn.classCode,
    revision: fn.revision,
    subsystem: fn.subsystem,
    name: fn.name,
    className: fn.className,
    driver: fn.driver,
    physicalFunction: place?.physicalFunction ?? unknown(NOT_SAID),
    group: groups.of(fn.address),
    config: {
      ...fn.config,
      multifunction: place?.multifunction ?? fn.config.multifunction,
      damage: note === null ? fn.config.damage : [...fn.config.damage, note],
    },
    resetMethods: unknown(NOT_SAID),
  }
}

function noDevice(text: CleanText, label: string): IsogroupError {
  const first = text.lines.find((line) => line.text !== '')?.text.slice(0, 60)
  const seen = first === undefined ? 'the text is empty' : `the text begins with "${first}"`
  return new IsogroupError(
    'bad-lspci',
    `${label}: no PCI device found; looked for lines such as ` +
      `"00:1f.0 ISA bridge: Intel Corporation ...", but ${seen}`,
    'Give the whole output of "sudo lspci -vvnn" (or "-vvnnxxxx"), run on the machine in question.',
  )
}
