/**
 * A small NVMe driver: identifies the disk, writes pages at random places through several queues, reads them back and
 * compares.
 *
 *     node dist/examples/nvme.js ADDRESS [--host SOURCE] [--commands N] [--queues N] [--seed N] [--overwrite 1]
 *
 * It overwrites what is on the disk, so without --overwrite 1 it refuses a disk whose first megabyte is not empty.
 * What it writes depends on the seed and the place alone (nvme-pattern.ts): anybody can check it later.
 */
import { openContext, openUserHost } from 'isogroup/access'
import { exampleArguments, runExample } from './example.ts'
import { NvmeController } from './nvme-controller.ts'
import { fillPage, isPage, placeOf } from './nvme-pattern.ts'
import { PAGE, type QueuePair } from './nvme-queue.ts'

const FIRST_PAGES = 2 ** 20 / PAGE
const WRITERS_PER_QUEUE = 16

async function nvme(): Promise<void> {
  const {
    address,
    host: source,
    numbers,
  } = exampleArguments({
    ...{ commands: 10_000, queues: 4, seed: 1, overwrite: 0 },
  })
  const host = await openUserHost(source, { claimed: [address] })
  const context = await openContext(host, [address])
  try {
    const disk = await NvmeController.open(context, context.device(address), numbers.queues)
    const { model, serial, blocks, blockSize } = disk.identity
    console.log(
      `${address}: ${model}, serial ${serial}, ${String(blocks)} blocks of ${String(blockSize)} bytes on ${host.source}`,
    )
    const [first] = disk.queues
    if (first === undefined) throw new Error('the controller gives no queue')
    if (numbers.overwrite === 0) await refuseUsed(disk, first, numbers.seed)
    const pages = Math.floor(numbers.commands / 2)
    await everywhere(disk, pages, async (queue, slot, page) => {
      fillPage(queue.page(slot), numbers.seed, page)
      await disk.write(queue, slot, page)
    })
    let different = 0
    await everywhere(disk, pages, async (queue, slot, page) => {
      await disk.read(queue, slot, page)
      if (!isPage(queue.page(slot), numbers.seed, page)) different += 1
    })
    const through = `through ${String(disk.queues.length)} queues`
    if (different > 0) throw new Error(`${String(different)} of ${String(pages)} pages differ`)
    console.log(`${String(pages)} pages written and ${String(pages)} read ${through}: all the same`)
  } finally {
    await context.close()
  }

  /** Does something at every place, several at a time in each queue. */
  async function everywhere(
    disk: NvmeController,
    count: number,
    act: (queue: QueuePair, slot: number, page: number) => Promise<void>,
  ): Promise<void> {
    let next = 0
    const worker = async (queue: QueuePair): Promise<void> => {
      while (next < count) {
        const page = placeOf(numbers.seed, next++, disk.pages)
        await queue.use((slot) => act(queue, slot, page))
      }
    }
    const workers = disk.queues.flatMap((queue) =>
      Array.from({ length: WRITERS_PER_QUEUE }, () => worker(queue)),
    )
    await Promise.all(workers)
  }
}

/** A disk with something on it is somebody's, unless it is what we wrote ourselves. */
async function refuseUsed(disk: NvmeController, queue: QueuePair, seed: number): Promise<void> {
  for (let page = 0; page < Math.min(FIRST_PAGES, disk.pages); page++) {
    const isOurs = await queue.use(async (slot) => {
      await disk.read(queue, slot, page)
      const data = queue.page(slot)
      return data.every((byte) => byte === 0) || isPage(data, seed, page)
    })
    if (isOurs) continue
    throw new Error(
      `page ${String(page)} of the disk is not empty: --overwrite 1 destroys what is on it`,
    )
  }
}

await runExample(nvme)
