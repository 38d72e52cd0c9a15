/**
 * The same as access.c, through the library: `node access-guest.mjs WHAT ADDRESS...` prints one JSON object.
 */
import { readFileSync } from 'node:fs'
import { NvmeController } from '../examples/nvme-controller.ts'
import type { QueuePair } from '../examples/nvme-queue.ts'
import type { Context } from '../src/access/context.ts'
import { openContext } from '../src/access/open-context.ts'
import type { Region } from '../src/access/region.ts'
import type { PageKind } from '../src/kernel/kernel.ts'
import { liveKernel } from '../src/kernel/native/live-kernel.ts'
import { median } from './measure.ts'

/** So many that the compiler of Node has done its work; the C program makes as many. */
const PASSES = { map: 200, merge: 5, ioctl: 5, page: 20, registers: 50, read: 20 }
const TOTAL = 256 * 2 ** 20
const PIECE = 2 * 2 ** 20
const PAGE = 4096
const UNDER_WAY = 32
/** Of a register, one after the other. */
const ACCESSES = 100_000
/** FIOCLEX: does next to nothing, of any file. */
const NOTHING = 0x5451
const NS = 1e6
const [RAISE, ACKNOWLEDGE] = [0x60, 0x64]

const kernel = liveKernel()
const [what = '', ...words] = process.argv.slice(2)
const [address = ''] = words

/** @returns the fastest of several passes, in milliseconds */
function best(pass: () => number, passes: number): number {
  return Math.min(...Array.from({ length: passes }, pass))
}

function timed(act: () => void): number {
  const started = performance.now()
  act()
  return performance.now() - started
}

async function within<T>(
  groups: readonly string[],
  act: (context: Context) => T,
): Promise<Awaited<T>> {
  const context = await openContext({ kernel }, groups)
  try {
    return await act(context)
  } finally {
    await context.close()
  }
}

/** Pages of all tables of IOMMUs; null: the kernel does not count them (before 6.11). */
function tablePages(): number | null {
  const text = readFileSync('/proc/vmstat', 'utf8')
  const count = /^nr_iommu_pages (\d+)$/m.exec(text)?.[1]
  return count === undefined ? null : Number(count)
}

/** All pieces into each context, and out again. */
function mapPieces(contexts: readonly Context[], kind: PageKind, passes: number): object {
  const memory = contexts[0]?.allocate(TOTAL, kind)
  if (memory === undefined) return {}
  memory.bytes.fill(1)
  const parts = Array.from({ length: TOTAL / PIECE }, (_, n) => memory.part(n * PIECE, PIECE))
  const before = tablePages()
  let after = before
  const map2m = best(() => {
    const took = timed(() => {
      for (const context of contexts) for (const part of parts) context.map(part)
    })
    after = tablePages()
    for (const context of contexts) for (const one of context.mappings) context.unmap(one)
    return took
  }, passes)
  return { map2m, pages: before === null || after === null ? null : after - before }
}

function map(): Promise<object> {
  const kind = words[0] === 'huge' ? 'huge' : 'small'
  return within(words.slice(1), (context) => mapPieces([context], kind, PASSES.map))
}

/** Small pages: tables are of pages as small, and there are many. */
function merged(): Promise<object> {
  return within(words, (context) => mapPieces([context], 'small', PASSES.merge))
}

async function separate(): Promise<object> {
  const contexts: Context[] = []
  for (const one of words) contexts.push(await openContext({ kernel }, [one]))
  const result = mapPieces(contexts, 'small', PASSES.merge)
  for (const context of contexts) await context.close()
  return result
}

function page(context: Context): object {
  const memory = context.allocate(PAGE)
  const count = 2000
  const pass = (): number =>
    timed(() => {
      for (let n = 0; n < count; n++) context.unmap(context.map(memory))
    })
  return { page: (best(pass, PASSES.page) * NS) / count }
}

function registers(context: Context): object {
  const device = context.device(address)
  device.enable()
  const bar = device.bar(0)
  let sum = 0
  const load = best(
    () =>
      timed(() => {
        sum ^= loadMany(bar)
      }),
    PASSES.registers,
  )
  const store = best(
    () =>
      timed(() => {
        storeMany(bar)
      }),
    PASSES.registers,
  )
  return { load: (load * NS) / ACCESSES, store: (store * NS) / ACCESSES, sum }
}

function loadMany(bar: Region): number {
  let sum = 0
  for (let n = 0; n < ACCESSES; n++) sum ^= bar.read32(0)
  return sum
}

function storeMany(bar: Region): void {
  for (let n = 0; n < ACCESSES; n++) bar.write32(4, n)
}

async function interrupt(context: Context): Promise<object> {
  const device = context.device(address)
  device.enable()
  const bar = device.bar(0)
  const vector = device.interrupts('msi').vector(0)
  const times: number[] = []
  for (let n = 0; n < 500; n++) {
    const started = performance.now()
    const raised = vector.next()
    bar.write32(RAISE, 1)
    await raised
    times.push(performance.now() - started)
    bar.write32(ACKNOWLEDGE, 1)
  }
  return { interrupt: median(times) * NS }
}

/** As the C program: whoever has finished starts the next. */
async function nvme(context: Context): Promise<object> {
  const count = Number(words[1])
  const disk = await NvmeController.open(context, context.device(address), 1)
  const [queue] = disk.queues
  if (queue === undefined) return {}
  const times: number[] = []
  for (let pass = 0; pass < PASSES.read; pass++) {
    const from = performance.now()
    await readPages(disk, queue, count)
    times.push(performance.now() - from)
  }
  return { read: (median(times) * NS) / count }
}

function readPages(disk: NvmeController, queue: QueuePair, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let started = 0
    let done = 0
    let place = 1
    const start = (slot: number): void => {
      started += 1
      place = (Math.imul(place, 1_664_525) + 1_013_904_223) >>> 0
      disk.startRead(queue, slot, (place >>> 8) % 8192)
    }
    queue.finished = (slot, status) => {
      done += 1
      if (status !== 0) reject(new Error(`status 0x${status.toString(16)}`))
      else if (done === count) resolve()
      else if (started < count) start(slot)
    }
    for (let slot = 0; slot < UNDER_WAY; slot++) start(slot)
  })
}

async function ioctl(): Promise<object> {
  const handle = await kernel.open('/dev/null')
  const call = handle.ioctlAgain(NOTHING, new Uint8Array(32))
  const count = 1_000_000
  const took = best(
    () =>
      timed(() => {
        for (let n = 0; n < count; n++) call()
      }),
    PASSES.ioctl,
  )
  await handle.close()
  return { ioctl: (took * NS) / count }
}

const MEASURES: Readonly<Record<string, () => Promise<object>>> = {
  map,
  merged,
  separate,
  page: () => within([address], page),
  registers: () => within([address], registers),
  interrupt: () => within([address], interrupt),
  nvme: () => within([address], nvme),
  ioctl,
}

const measure = MEASURES[what]
if (measure === undefined) throw new Error(`"${what}" is not measured`)
process.stdout.write(`${JSON.stringify(await measure())}\n`)
