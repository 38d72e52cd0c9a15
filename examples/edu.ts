/**
 * A driver for the teaching device of QEMU (docs/specs/edu.rst there): computes a factorial, moves a megabyte to the
 * device and back by DMA, and waits for its interrupt each time.
 *
 *     node dist/examples/edu.js ADDRESS [--host SOURCE] [--bytes N]
 *
 * On this host the device's group has to be claimed first: isogroup claim ADDRESS. On a model that is done here.
 */
import { openContext, openUserHost } from 'isogroup/access'
import { exampleArguments, runExample } from './example.ts'

const REG = { id: 0x00, factorial: 0x08, status: 0x20, irqs: 0x24, acknowledge: 0x64 } as const
/** Source, target and count follow each other. */
const DMA = { source: 0x80, command: 0x98 } as const
const START = { toDevice: 0x1 | 0x4, toMemory: 0x1 | 0x2 | 0x4 } as const
const IRQ_WHEN_COMPUTED = 0x80
/** The device's own memory, as its DMA engine sees it; of an address it keeps 28 bits. */
const [BUFFER, ADDRESSES] = [0x4_0000, 2 ** 28]
/** Its memory has 4096 bytes, and QEMU 7.2 ends itself when a transfer reaches the last of them. */
const PIECE = 4092

async function edu(): Promise<void> {
  const { address, host: source, numbers } = exampleArguments({ bytes: 2 ** 20 })
  const host = await openUserHost(source, { claimed: [address] })
  const context = await openContext(host, [address], { below: ADDRESSES })
  try {
    const device = context.device(address)
    device.enable()
    const registers = device.bar(0)
    const interrupt = device.interrupts('msi').vector(0)
    const interrupted = async (): Promise<number> => {
      await interrupt.next()
      const irqs = registers.read32(REG.irqs)
      registers.write32(REG.acknowledge, irqs)
      return irqs
    }
    console.log(`${address}: edu 0x${registers.read32(REG.id).toString(16)} on ${host.source}`)

    registers.write32(REG.status, IRQ_WHEN_COMPUTED)
    registers.write32(REG.factorial, 12)
    const irqs = await interrupted()
    console.log(
      `12! = ${String(registers.read32(REG.factorial))}, interrupt 0x${irqs.toString(16)}`,
    )

    const size = numbers.bytes
    const sent = context.allocate(size)
    const received = context.allocate(size)
    const [from, to] = [context.map(sent, { direction: 'to-device' }), context.map(received)]
    const transfer = async (words: readonly number[], command: number): Promise<void> => {
      for (const [n, word] of words.entries()) registers.write64(DMA.source + 8 * n, BigInt(word))
      registers.write32(DMA.command, command)
      await interrupted()
    }
    sent.bytes.forEach((_, at, bytes) => (bytes[at] = at * 7 + (at >> 12)))
    for (let at = 0; at < size; at += PIECE) {
      const count = Math.min(PIECE, size - at)
      await transfer([from.iova + at, BUFFER, count], START.toDevice)
      await transfer([BUFFER, to.iova + at, count], START.toMemory)
    }
    const isSame = sent.bytes.subarray(0, size).every((byte, at) => received.bytes[at] === byte)
    if (!isSame) throw new Error('what came back differs from what was sent')
    console.log(`${String(size)} bytes to the device and back by DMA: the same`)
  } finally {
    await context.close()
  }
}

await runExample(edu)
