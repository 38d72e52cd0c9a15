/**
 * Runs the lab's cases, two guests at a time, and counts.
 *
 * The standing suite is the fixed machine under each kernel and IOMMU, hot-plug, and a few random
 * machines with fixed seeds, what-if questions, and a trace against the model under each kernel. A case that
 * fails leaves its evidence (what the kernel and the program said, the capture, the topology) in the cache,
 * with the command that runs it again.
 */
import { randomInt } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { cacheDirectory, findProjectRoot } from './cache.ts'
import type { LabCase, LabFinding } from './cases/case.ts'
import { claimCases } from './cases/claim.ts'
import { claimCrashCases } from './cases/claim-crash.ts'
import { accessCases } from './cases/access.ts'
import { soakCases } from './cases/soak.ts'
import { claimHotPlugCases } from './cases/claim-hot-plug.ts'
import { fixedCases } from './cases/fixed.ts'
import { hotPlugCases } from './cases/hot-plug.ts'
import { trapCases } from './cases/traps.ts'
import { randomCases } from './cases/random.ts'
import { traceCases } from './cases/trace.ts'
import { randomWhatIfCases, whatIfCases } from './cases/what-if.ts'
import { bootGuest, type Guest } from './guest.ts'
import { baseArchive, type GuestProgram, programArchive } from './initramfs.ts'
import { fetchKernel, type Kernel, type KernelSeries } from './kernels.ts'
import type { LabOptions } from './options.ts'
import { prepareHost } from './packages.ts'
import type { Machine } from './qemu.ts'

export type LabCounts = {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** What a caller other than the command line may replace. */
export type LabSetting = {
  readonly projectRoot?: string
  readonly program?: GuestProgram
  readonly print?: (line: string) => void
}

const guestCountMax = 2
const standingRandomCount = 2
const standingRandomSeed = 1
const seedLimit = 1_000_000

type Verdict = 'passed' | 'failed' | 'skipped'

type Lab = {
  readonly cacheRoot: string
  readonly program: GuestProgram
  readonly keep: boolean
  readonly required: boolean
  readonly print: (line: string) => void
  readonly kernels: ReadonlyMap<KernelSeries, Kernel | Error>
}

export async function runLab(options: LabOptions, setting: LabSetting = {}): Promise<LabCounts> {
  const projectRoot = setting.projectRoot ?? findProjectRoot()
  const print = setting.print ?? ((line: string) => process.stdout.write(`${line}\n`))
  const cases = chooseCases(options, print)
  const readiness = await prepareHost()
  if (!readiness.ready) {
    const word = options.required ? 'FAIL' : 'skip'
    print(`${word}  all ${cases.length} lab cases: ${readiness.reason}`)
    return options.required ? counts(0, cases.length, 0) : counts(0, 0, cases.length)
  }
  if (readiness.installed.length > 0) print(`installed ${readiness.installed.join(' ')}`)
  const cacheRoot = cacheDirectory(projectRoot)
  const program = setting.program ?? defaultProgram(projectRoot)
  // Fails here, once and with a clear message, when the program is not built.
  await programArchive(program)
  const kernels = await prepareKernels(cases, cacheRoot)
  const { keep, required } = options
  const lab: Lab = { cacheRoot, program, keep, required, print, kernels }
  const verdicts = await runCases(lab, cases)
  const count = (verdict: Verdict): number => verdicts.filter((item) => item === verdict).length
  return counts(count('passed'), count('failed'), count('skipped'))
}

function counts(passed: number, failed: number, skipped: number): LabCounts {
  return { passed, failed, skipped }
}

/** The command line program as the build leaves it: one folder, no other packages needed. */
function defaultProgram(projectRoot: string): GuestProgram {
  return { projectRoot, include: ['package.json', 'dist/cli'], entry: 'dist/cli/main.js' }
}

function chooseCases(options: LabOptions, print: (line: string) => void): readonly LabCase[] {
  const { only, kernel, random, trace, whatIf } = options
  let cases: readonly LabCase[]
  if (trace !== undefined) {
    cases = traceCases(trace, options.seed)
  } else if (options.hotPlug !== undefined) {
    cases = claimHotPlugCases(options.hotPlug, options.seed)
  } else if (options.crash !== undefined) {
    cases = claimCrashCases(options.crash, options.seed)
  } else if (options.soak !== undefined) {
    cases = soakCases(options.soak, options.seed)
  } else if (whatIf !== undefined) {
    const seed = options.seed ?? randomInt(seedLimit)
    print(`what-if questions from seed ${seed}`)
    cases = randomWhatIfCases(whatIf, seed)
  } else if (random === undefined) {
    const seed = options.seed ?? standingRandomSeed
    cases = [
      // The longest first, so that no worker has one left when the others are done.
      ...claimCases(),
      ...accessCases(),
      ...traceCases(),
      ...fixedCases(),
      ...claimCrashCases(),
      ...claimHotPlugCases(),
      ...whatIfCases(),
      ...hotPlugCases(),
      ...trapCases(),
      ...randomCases(standingRandomCount, seed),
    ]
  } else {
    const seed = options.seed ?? randomInt(seedLimit)
    print(`random machines from seed ${seed}`)
    cases = randomCases(random, seed, kernel)
  }
  const chosen = cases.filter((item) => {
    return (
      (only === undefined || item.name.includes(only)) && item.kernel === (kernel ?? item.kernel)
    )
  })
  if (chosen.length > 0) return chosen
  throw new Error(`no lab case fits; there are: ${cases.map((item) => item.name).join(' ')}`)
}

/** Kernels and base archives of all series needed, before guests compete for the processors. */
async function prepareKernels(
  cases: readonly LabCase[],
  cacheRoot: string,
): Promise<ReadonlyMap<KernelSeries, Kernel | Error>> {
  const needed = cases.flatMap((item) => [item.kernel, ...(item.otherKernels ?? [])])
  const series = [...new Set(needed)]
  const prepared = await Promise.all(
    series.map(async (item): Promise<readonly [KernelSeries, Kernel | Error]> => {
      try {
        const kernel = await fetchKernel(item, cacheRoot)
        await baseArchive(kernel, cacheRoot)
        return [item, kernel]
      } catch (error) {
        return [item, error instanceof Error ? error : new Error(String(error))]
      }
    }),
  )
  return new Map(prepared)
}

/** Each of the workers takes the next case until none is left. */
async function runCases(lab: Lab, cases: readonly LabCase[]): Promise<readonly Verdict[]> {
  const waiting = [...cases]
  const verdicts: Verdict[] = []
  const work = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      verdicts.push(await runCase(lab, item))
    }
  }
  const workers = Math.min(guestCountMax, availableParallelism(), cases.length)
  await Promise.all(Array.from({ length: workers }, work))
  return verdicts
}

async function runCase(lab: Lab, item: LabCase): Promise<Verdict> {
  const started = performance.now()
  const seconds = (): string => `${((performance.now() - started) / 1_000).toFixed(1)} s`
  const kernel = lab.kernels.get(item.kernel)
  if (kernel === undefined || kernel instanceof Error) {
    const reason = kernel?.message ?? 'no kernel'
    lab.print(`${lab.required ? 'FAIL' : 'skip'}  ${item.name}  ${reason}`)
    return lab.required ? 'failed' : 'skipped'
  }
  const evidence = new Map<string, Buffer | string>()
  const findings = await converse(lab, item, evidence)
  if (findings.length === 0) {
    lab.print(`ok    ${item.name}  ${seconds()}`)
    if (lab.keep) lab.print(`      evidence: ${saveEvidence(lab, item, [], evidence)}`)
    return 'passed'
  }
  lab.print(`FAIL  ${item.name}  ${seconds()}`)
  for (const finding of findings) lab.print(indent(`${finding.check}:\n${finding.detail}`))
  const directory = saveEvidence(lab, item, findings, evidence)
  lab.print(`      evidence: ${directory}\n      again: npm run lab -- ${item.replay}`)
  return 'failed'
}

/** Boots, lets the case talk to the guest, and turns whatever goes wrong into a finding. */
async function converse(
  lab: Lab,
  item: LabCase,
  evidence: Map<string, Buffer | string>,
): Promise<readonly LabFinding[]> {
  const { program } = lab
  const guests: Guest[] = []
  try {
    const more = await item.prepare?.(program.projectRoot)
    const included = { ...program, include: [...program.include, ...(more ?? [])] }
    const boot = async (machine: Machine, series: KernelSeries): Promise<Guest> => {
      const guest = await bootFor(lab, item, { machine, kernel: kernelOf(lab, series), included })
      guests.push(guest)
      return guest
    }
    const guest = await boot(item.machine, item.kernel)
    const keepEvidence = (name: string, content: Buffer | string): void => {
      evidence.set(name, content)
    }
    const { kernel } = item
    const say = (line: string): void => lab.print(`      ${item.name}: ${line}`)
    const scratch = guest.directory
    return await item.run({ guest, program, kernel, scratch, boot, keepEvidence, say })
  } catch (error) {
    return [{ check: 'lab', detail: error instanceof Error ? error.message : String(error) }]
  } finally {
    for (const [index, guest] of guests.entries()) {
      evidence.set(index === 0 ? 'console.log' : `console-${index}.log`, guest.consoleTail(1_000))
      await guest.shutDown()
    }
  }
}

type Start = {
  readonly machine: Machine
  readonly kernel: Kernel
  readonly included: GuestProgram
}

async function bootFor(lab: Lab, item: LabCase, start: Start): Promise<Guest> {
  const { cacheRoot, keep } = lab
  const guest = await bootGuest(start.machine, start.kernel, {
    cacheRoot,
    program: start.included,
    keep,
  })
  if (keep) {
    const { bootMilliseconds, directory } = guest
    lab.print(`      ${item.name}: booted in ${bootMilliseconds} ms, kept in ${directory}`)
  }
  return guest
}

function kernelOf(lab: Lab, series: KernelSeries): Kernel {
  const kernel = lab.kernels.get(series)
  if (kernel === undefined || kernel instanceof Error) {
    throw kernel ?? new Error(`the case does not name ${series} among its kernels`)
  }
  return kernel
}

function saveEvidence(
  lab: Lab,
  item: LabCase,
  findings: readonly LabFinding[],
  evidence: ReadonlyMap<string, Buffer | string>,
): string {
  const directory = join(lab.cacheRoot, 'evidence', item.name)
  mkdirSync(directory, { recursive: true })
  for (const [name, content] of evidence) writeFileSync(join(directory, name), content)
  const told = findings.map((finding) => `${finding.check}:\n${finding.detail}\n`)
  const again = `npm run lab -- ${item.replay}\n`
  writeFileSync(join(directory, 'findings.txt'), [...told, again].join('\n'))
  return directory
}

function indent(text: string): string {
  return text.replace(/^/gm, '      ')
}
