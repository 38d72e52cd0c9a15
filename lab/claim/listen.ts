/**
 * Runs in the guest: writes every uevent of a PCI function down as it comes, a line each:
 * microseconds since boot, action, address, driver or -.
 *
 *     node listen.mjs >FILE
 */
import { writeSync } from 'node:fs'
import { openUevents } from '../../src/kernel/native/uevent-socket.ts'

const STANDARD_OUTPUT = 1
const events = openUevents()
writeSync(STANDARD_OUTPUT, 'listening\n')
for await (const datagram of events) {
  const now = process.hrtime.bigint() / 1_000n
  const words = Buffer.from(datagram).toString('latin1').split('\0')
  const value = (key: string): string | undefined =>
    words.find((word) => word.startsWith(`${key}=`))?.slice(key.length + 1)
  if (value('SUBSYSTEM') !== 'pci') continue
  const told = [value('ACTION'), value('PCI_SLOT_NAME'), value('DRIVER') ?? '-']
  writeSync(STANDARD_OUTPUT, `${now} ${told.join(' ')}\n`)
}
