/**
 * Reads a disk through the kernel's own driver, and holds it against what examples/nvme.ts wrote:
 *
 *     node verify-disk.mjs /dev/nvme0n1 SEED COUNT BYTES     prints {"wrong": pages, "written": pages}
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { isPage, placeOf } from '../../examples/nvme-pattern.ts'

const PAGE = 4096
const [path = '', seed = '1', count = '0', bytes = '0'] = process.argv.slice(2)
const pages = Math.floor(Number(bytes) / PAGE)
const written = new Set(
  Array.from({ length: Number(count) }, (_, n) => placeOf(Number(seed), n, pages)),
)
const disk = openSync(path, 'r')
const page = new Uint8Array(PAGE)
const counts = { wrong: 0, written: written.size }
for (const at of written) {
  readSync(disk, page, 0, PAGE, at * PAGE)
  if (!isPage(page, Number(seed), at)) counts.wrong += 1
}
closeSync(disk)
process.stdout.write(`${JSON.stringify(counts)}\n`)
