/**
 * From the text after --host to a Host: the only place that knows every kind of source. What a source
 * does not need is not loaded.
 */
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { IsogroupError } from '../base/errors.ts'
import type { Host } from '../isolation/host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import type { MachineDescription } from '../model/machine/description.ts'
import type { Twin } from './twin.ts'

export const SOURCE_FORMS = [
  'linux',
  'linux:DIR',
  'file:CAPTURE',
  'lspci:FILE',
  'model:NAME',
] as const

/** Text of standard input is at most this long. */
const LSPCI_BYTES_MAX = 64 * 1024 * 1024

/**
 * @param source one of SOURCE_FORMS; "lspci:-" reads standard input
 * @throws IsogroupError usage, no-source, io, bad-capture, bad-machine, bad-lspci, newer-version
 */
export async function openHost(source: string): Promise<Host> {
  const colon = source.indexOf(':')
  const kind = colon < 0 ? source : source.slice(0, colon)
  const rest = colon < 0 ? null : source.slice(colon + 1)
  if (kind === 'linux') return openLinux(rest ?? '/')
  if (rest === null || rest === '') throw unknownSource(source)
  if (kind === 'file') return openFile(rest)
  if (kind === 'lspci') return openLspci(rest)
  if (kind === 'model') return openModel(rest)
  throw unknownSource(source)
}

export interface OpenedKernel {
  readonly kernel: KernelView
  /** What a person calls it: "this host". */
  readonly source: string
  /** pci.ids of the machine isogroup runs on, for trees that bring none. */
  readonly fallbackNames: () => string
}

/** The kernel behind a source that has one, for capturing it; null for texts and recorded facts. */
export async function openKernel(source: string): Promise<OpenedKernel | null> {
  if (source === 'linux') return openRoot('/')
  if (source.startsWith('linux:')) return openRoot(source.slice('linux:'.length))
  if (!source.startsWith('model:')) return null
  const { bootKernel, modelLabel } = await import('./model-host.ts')
  const twin = await builtInTwin(source.slice('model:'.length))
  const kernel = bootKernel(twin.machine)
  return { kernel, source: modelLabel(twin), fallbackNames: () => '' }
}

/** Names of the built-in machines, for `model:NAME`. */
export function machineNames(): readonly string[] {
  return readdirSync(machineDirectory())
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .sort()
}

function unknownSource(source: string): IsogroupError {
  return new IsogroupError(
    'usage',
    `"${source}" is no source of a host`,
    `Give one of ${SOURCE_FORMS.join(', ')}.`,
  )
}

async function openLinux(root: string): Promise<Host> {
  const { kernel, source, fallbackNames } = await openRoot(root)
  const { linuxHost } = await import('../linux/linux-host.ts')
  return linuxHost(kernel, source, fallbackNames)
}

async function openRoot(root: string): Promise<OpenedKernel> {
  if (root === '') throw unknownSource('linux:')
  const { nativeKernel } = await import('../kernel/native/native-kernel.ts')
  const { pciIdsText } = await import('../linux/linux-host.ts')
  const kernel = nativeKernel(root)
  if (!kernel.exists('/sys/bus/pci/devices')) {
    throw new IsogroupError(
      'no-source',
      `${root === '/' ? 'this host' : root} has no /sys/bus/pci/devices`,
      root === '/'
        ? 'There is no PCI bus here, or /sys is not mounted.'
        : 'Name a directory that holds sys/ and proc/ of a host.',
    )
  }
  return {
    kernel,
    source: root === '/' ? 'this host' : `the tree in ${root}`,
    fallbackNames: () => pciIdsText(nativeKernel()) ?? '',
  }
}

async function openFile(path: string): Promise<Host> {
  const { readJsonFile, checkCapture } = await import('./capture-file.ts')
  const json = await readJsonFile(path)
  if (typeof json === 'object' && json !== null && 'format' in json) {
    if (json.format === 'isogroup-machine') return machineHost(json)
    if (json.format === 'isogroup-model') {
      const { modelHost } = await import('./model-host.ts')
      return modelHost(await machineIn(json))
    }
    if (json.format === 'isogroup-capture') {
      const { recordedKernel } = await import('../kernel/recorded.ts')
      const { linuxHost } = await import('../linux/linux-host.ts')
      const { source, recording } = checkCapture(json, path)
      return linuxHost(recordedKernel(recording), source)
    }
  }
  throw new IsogroupError(
    'bad-capture',
    `${path} is neither a capture nor a machine file: it has no known "format"`,
    'Make one with `isogroup capture FILE`.',
  )
}

async function openModel(name: string): Promise<Host> {
  const { modelHost } = await import('./model-host.ts')
  return modelHost(await builtInTwin(name))
}

/**
 * What `model:NAME` boots: a machine of the catalogue, or the twin of a recorded host.
 * @throws IsogroupError no-source, bad-machine
 */
export async function builtInMachine(name: string): Promise<MachineDescription> {
  return (await builtInTwin(name)).machine
}

/** The same with what had to be assumed of a recorded host. @throws IsogroupError no-source, bad-machine */
export async function builtInTwin(name: string): Promise<Twin> {
  const names = machineNames()
  if (!names.includes(name)) {
    throw new IsogroupError(
      'no-source',
      `there is no built-in machine "${name}"`,
      `There are: ${names.join(', ')}.`,
    )
  }
  const { readJsonFile } = await import('./capture-file.ts')
  return machineIn(await readJsonFile(`${machineDirectory()}${name}.json`))
}

/**
 * What a source boots as a model: "model:NAME", or the machine in "file:MACHINE.json".
 * @throws IsogroupError usage, no-source, bad-machine, io
 */
export async function bootableTwin(source: string): Promise<Twin> {
  if (source.startsWith('model:')) return builtInTwin(source.slice('model:'.length))
  if (source.startsWith('file:')) {
    const { readJsonFile } = await import('./capture-file.ts')
    return machineIn(await readJsonFile(source.slice('file:'.length)))
  }
  throw new IsogroupError(
    'usage',
    `"${source}" is no host on which programs can use devices`,
    'Give linux, model:NAME or file:MACHINE.json.',
  )
}

/**
 * The machine in a parsed file of either format: one as people write it, or the twin of a recorded host.
 * @throws IsogroupError bad-machine, newer-version
 */
async function machineIn(json: unknown): Promise<Twin> {
  if (isModel(json)) {
    const { parseModel } = await import('./model-file.ts')
    const { buildMachine } = await import('../model/machine/builder.ts')
    return { machine: buildMachine(parseModel(json).form), assumed: [] }
  }
  const { parseMachine } = await import('./machine-file.ts')
  const { recordedTwin } = await import('./recorded-machine.ts')
  return recordedTwin(parseMachine(json))
}

function isModel(json: unknown): boolean {
  return (
    typeof json === 'object' &&
    json !== null &&
    'format' in json &&
    json.format === 'isogroup-model'
  )
}

/** A machine file given by its path: the facts in it and nothing more. */
async function machineHost(json: unknown): Promise<Host> {
  const { parseMachine } = await import('./machine-file.ts')
  const { lspciHost } = await import('../lspci/lspci-host.ts')
  return lspciHost(parseMachine(json).snapshot, 'a machine file does not hold it')
}

async function openLspci(path: string): Promise<Host> {
  const { parseLspci } = await import('../lspci/parse-lspci.ts')
  const { lspciHost } = await import('../lspci/lspci-host.ts')
  const { withKnownNames } = await import('../lspci/known-names.ts')
  const { nameIndex } = await import('../pci/pci-ids.ts')
  const { nativeKernel } = await import('../kernel/native/native-kernel.ts')
  const { pciIdsText } = await import('../linux/linux-host.ts')
  const text = await readLspciText(path)
  const label = path === '-' ? 'standard input' : path
  const idsText = pciIdsText(nativeKernel())
  const names = withKnownNames(idsText === null ? null : nameIndex(idsText))
  return lspciHost(parseLspci(text, { label, names }))
}

async function readLspciText(path: string): Promise<string> {
  const { readBounded } = await import('./bounded-read.ts')
  const hint = 'Name a file with the text of `lspci -vvv`, or - for standard input.'
  const bytes = await readBounded({ path, maxBytes: LSPCI_BYTES_MAX, hint })
  if (bytes !== null) return bytes.toString('utf8')
  throw new IsogroupError(
    'bad-lspci',
    `${path === '-' ? 'standard input' : path} has more than the ${String(LSPCI_BYTES_MAX)} bytes that are read`,
    hint,
  )
}

/** machines/ lies beside src/ in the checkout and beside dist/ in the package. */
function machineDirectory(): string {
  for (const up of ['../../machines/', '../machines/', '../../../machines/']) {
    const path = fileURLToPath(new URL(up, import.meta.url))
    try {
      if (readdirSync(path).length > 0) return path
    } catch {
      // Not there: the next place.
    }
  }
  throw new IsogroupError(
    'no-source',
    'the built-in machines are missing from this installation',
    'Install isogroup again.',
  )
}
