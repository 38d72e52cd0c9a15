/** What the scenarios share: the world that they run in, and the teaching device (docs/specs/edu.rst of QEMU). */
import assert from 'node:assert/strict'
import type { Kernel } from '../../kernel/kernel.ts'
import type { MapOptions } from '../address-space.ts'
import type { Context, ContextOptions } from '../context.ts'
import type { Device } from '../device.ts'
import type { DmaMemory } from '../dma-memory.ts'
import { openContext } from '../open-context.ts'

export interface AccessWorld {
  readonly kernel: Kernel
  /** Addresses of two teaching devices. */
  readonly edu: readonly [string, string]
  /** Addresses (IOVA) that IOMMUs refused since the last call. */
  faults(): readonly number[]
}

export interface Scenario {
  readonly name: string
  readonly run: (world: AccessWorld) => Promise<void>
}

export const REG = {
  id: 0x00,
  inverted: 0x04,
  factorial: 0x08,
  status: 0x20,
  irqs: 0x24,
  raise: 0x60,
}
export const ACKNOWLEDGE = 0x64
const DMA = { source: 0x80, target: 0x88, count: 0x90, command: 0x98 }
export const TO_DEVICE = 1
export const TO_MEMORY = 3
export const IDENTIFICATION = 0x0100_00ed
export const BUFFER = 0x4_0000
export const BELOW: MapOptions = { below: 2 ** 28 }
/** Slower than any host. */
export const PATIENCE = 60_000
export const PAGE = 4096

export async function withContext(
  { kernel }: AccessWorld,
  groups: readonly string[],
  act: (context: Context) => Promise<void>,
  options: ContextOptions = {},
): Promise<void> {
  const context = await openContext({ kernel }, groups, options)
  try {
    await act(context)
  } finally {
    await context.close()
  }
}

/** QEMU 7.2 ends itself when a transfer reaches the last of the device's 4096 bytes (edu_check_range). */
export const PIECE = 2048

/** One transfer, and until it is over. */
export async function transfer(
  device: Device,
  from: number,
  to: number,
  command: number,
): Promise<void> {
  const bar = device.bar(0)
  bar.write64(DMA.source, BigInt(from))
  bar.write64(DMA.target, BigInt(to))
  bar.write64(DMA.count, BigInt(PIECE))
  bar.write32(DMA.command, command)
  while ((bar.read32(DMA.command) & 1) !== 0) await soon()
}

export function soon(milliseconds = 5): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

/** What is refused without a call of the kernel, or by it, always has words and a next step. */
export async function refused(act: () => unknown, message: RegExp): Promise<void> {
  await assert.rejects(async () => {
    await act()
  }, message)
}

/** Different bytes at every place. */
export function fill(memory: DmaMemory, seed: number): void {
  memory.bytes.forEach((_, at) => {
    memory.bytes[at] = seed + at + (at >> 8)
  })
}
