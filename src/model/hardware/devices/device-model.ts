/**
 * What a kind of function is made of: registers at power-on, BARs, behaviour. The tables of models
 * are in qemu-endpoints.ts, qemu-ports.ts and other-endpoints.ts; catalogue.ts puts them together.
 */
import type { Bar } from '../function.ts'

/** Classes of catalogue.ts by name; "generic" = registers and plain memory. */
export type Behaviour = 'edu' | 'nic' | 'nvme' | 'bridge' | 'generic'

export interface DeviceModel {
  /** "root-port" */
  readonly name: string
  /** One line for people. */
  readonly text: string
  readonly behaviour: Behaviour
  /** Power-on configuration space, 256 or 4096 bytes. */
  readonly config: () => Uint8Array
  readonly bars: readonly Bar[]
  /** BARs of each virtual function. */
  readonly virtualBars?: readonly Bar[]
}

/**
 * Configuration space from rows of "offset: bytes", both hexadecimal; the rest is zero.
 * @returns 4096 bytes when a row is beyond the first 256 or `express` is set, else 256
 */
export function registerRows(rows: string, express = false): Uint8Array {
  const bytes = new Uint8Array(4096)
  let end = 0
  for (const row of rows.trim().split('\n')) {
    const [offset = '', values = ''] = row.split(':')
    let at = parseInt(offset, 16)
    for (const value of values.trim().split(' ')) {
      bytes[at] = parseInt(value, 16)
      at += 1
    }
    end = Math.max(end, at)
  }
  return express || end > 256 ? bytes : bytes.slice(0, 256)
}

export function memoryBar(index: number, size: number): Bar {
  return { index, size, kind: 'mem32', prefetchable: false }
}

/** A 64-bit one; takes the next index too. */
export function wideBar(index: number, size: number, prefetchable = false): Bar {
  return { index, size, kind: 'mem64', prefetchable }
}

export function ioBar(index: number, size: number): Bar {
  return { index, size, kind: 'io', prefetchable: false }
}

export function romBar(size: number): Bar {
  return { index: 6, size, kind: 'rom', prefetchable: false }
}
