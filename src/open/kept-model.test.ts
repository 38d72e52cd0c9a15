import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type Kernel, KernelError } from '../kernel/kernel.ts'
import { bootedMachine, CARD, CARD_MATE, DISK } from '../model/machine/booted-machine.case.ts'
import { groupOf, openDevice } from '../model/machine/vfio-user.case.ts'
import { keptModel } from './kept-model.ts'

const root = mkdtempSync(join(tmpdir(), 'isogroup-kept-'))
afterAll(() => rmSync(root, { recursive: true }))

const { machine } = bootedMachine()
let count = 0

function freshDirectory(): string {
  count += 1
  return join(root, String(count), 'state')
}

const open = (directory: string | null): Promise<Kernel> => keptModel('test', machine, directory)
const fileIn = (directory: string): string => join(directory, 'model-test.jsonl')
const linesIn = (directory: string): string[] =>
  readFileSync(fileIn(directory), 'utf8').trimEnd().split('\n')

async function write(kernel: Kernel, path: string, text: string): Promise<string> {
  try {
    await kernel.write(`/sys/bus/pci/${path}`, new TextEncoder().encode(text), 100)
    return 'done'
  } catch (cause) {
    if (cause instanceof KernelError) return cause.code
    throw cause
  }
}

/** All that a claim does. */
async function claim(kernel: Kernel): Promise<string> {
  for (const address of [CARD, CARD_MATE]) {
    await write(kernel, `devices/${address}/driver_override`, 'vfio-pci\n')
    await write(kernel, 'drivers/e1000e/unbind', address)
    await write(kernel, 'drivers_probe', address)
  }
  const node = `/dev/vfio/${groupOf(kernel, CARD)}`
  await kernel.setOwner(node, 1000, 104)
  await kernel.setMode(node, 0o660)
  return node
}

/** Everything that can be read of the functions and of who drives them. */
function picture(kernel: Kernel): unknown {
  const group = groupOf(kernel, CARD)
  const node = `/dev/vfio/${group}`
  return {
    functions: [CARD, CARD_MATE, DISK].map((address) => {
      const dir = `/sys/bus/pci/devices/${address}`
      const driver = kernel.exists(`${dir}/driver`) ? kernel.link(`${dir}/driver`) : null
      return [driver, kernel.text(`${dir}/driver_override`), kernel.text(`${dir}/uevent`)]
    }),
    nodes: kernel.list('/dev/vfio'),
    owner: kernel.exists(node) ? kernel.stat(node) : null,
    boot: kernel.text('/proc/sys/kernel/random/boot_id'),
  }
}

async function failureOf(directory: string): Promise<string> {
  try {
    await open(directory)
    return 'opened'
  } catch (cause) {
    return (cause as Error).message.replace(fileIn(directory), 'FILE')
  }
}

describe('a kept model', () => {
  it('is for the next command as the last one left it', async () => {
    const directory = freshDirectory()
    const first = await open(directory)
    const node = await claim(first)
    const second = await open(directory)
    expect(picture(second)).toEqual(picture(first))
    expect(second.stat(node)).toEqual({ uid: 1000, gid: 104, mode: 0o660 })
    await write(second, 'drivers/vfio-pci/unbind', CARD)
    expect(picture(await open(directory))).toEqual(picture(second))
    expect(statSync(fileIn(directory)).mode & 0o777).toBe(0o600)
  })

  it('is as far as it came when its command ended, wherever that was', async () => {
    const whole = freshDirectory()
    const pictures: unknown[] = []
    const kernel = await open(whole)
    const { bootId } = JSON.parse(
      await write(kernel, 'drivers_probe', CARD).then(() => linesIn(whole)[0] ?? ''),
    ) as { bootId: string }
    pictures.push(picture(kernel))
    const steps = [
      () => write(kernel, `devices/${CARD}/driver_override`, 'vfio-pci'),
      () => write(kernel, 'drivers/e1000e/unbind', CARD),
      () => write(kernel, 'drivers_probe', CARD),
      () => kernel.setOwner(`/dev/vfio/${groupOf(kernel, CARD)}`, 5, 5),
    ]
    for (const step of steps) {
      await step()
      pictures.push(picture(kernel))
    }
    const bytes = readFileSync(fileIn(whole))
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      // Every place inside a line is like any other of it.
      const isNearEnd = bytes[cut - 1] === 0x0a || bytes[cut] === 0x0a || cut % 97 === 0
      if (!isNearEnd) continue
      const complete = bytes.subarray(0, cut).filter((byte) => byte === 0x0a).length
      const directory = join(whole, '..')
      const file = join(directory, 'model-test.jsonl')
      writeFileSync(file, bytes.subarray(0, cut))
      const again = await open(directory)
      if (complete < 2) {
        expect(again.exists(`/sys/bus/pci/devices/${CARD}/driver`)).toBe(true)
        continue
      }
      expect(picture(again)).toEqual(pictures[complete - 2])
      expect(again.text('/proc/sys/kernel/random/boot_id')).toBe(`${bootId}\n`)
      // What was cut is gone from the file too, so that the next line begins a line.
      await write(again, 'drivers_probe', DISK)
      expect(linesIn(directory)).toHaveLength(complete + 1)
    }
  }, 60_000)

  it('keeps what was refused, and is not disturbed by it', async () => {
    const directory = freshDirectory()
    const first = await open(directory)
    expect(await write(first, 'drivers/e1000e/bind', CARD)).toBe('EBUSY')
    await expect(first.loadModule('nothing', 100)).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(first.setMode('/dev/vfio/99', 0o600)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(
      linesIn(directory).map((line) => (JSON.parse(line) as { answer?: string }).answer),
    ).toEqual([undefined, 'EBUSY', 'ENOENT', 'ENOENT'])
    expect(picture(await open(directory))).toEqual(picture(first))
  })

  it('writes nothing as long as nothing is changed', async () => {
    const directory = freshDirectory()
    const kernel = await open(directory)
    picture(kernel)
    expect(existsSync(directory)).toBe(false)
  })

  it('keeps nothing without a directory', async () => {
    const first = await open(null)
    await claim(first)
    expect((await open(null)).list('/dev/vfio')).toEqual(['vfio'])
  })

  it('is another boot when the file was removed, and the same one until then', async () => {
    const directory = freshDirectory()
    const idOf = (kernel: Kernel): string => kernel.text('/proc/sys/kernel/random/boot_id')
    const first = await open(directory)
    await write(first, 'drivers_probe', CARD)
    expect(idOf(await open(directory))).toBe(idOf(first))
    rmSync(fileIn(directory))
    expect(idOf(await open(directory))).not.toBe(idOf(first))
  })

  it('lets a write that waited for a program go on, for the program is gone', async () => {
    const directory = freshDirectory()
    const first = await open(directory)
    await claim(first)
    await openDevice(first, CARD)
    expect(await write(first, 'drivers/vfio-pci/unbind', CARD)).toBe('ETIMEDOUT')
    const second = await open(directory)
    expect(second.exists(`/sys/bus/pci/drivers/vfio-pci/${CARD}`)).toBe(false)
    expect(second.exists(`/sys/bus/pci/drivers/vfio-pci/${CARD_MATE}`)).toBe(true)
  })
})

describe('the file of a kept model', () => {
  async function used(): Promise<string> {
    const directory = freshDirectory()
    await claim(await open(directory))
    return directory
  }

  it('is refused by line when a line is no line', async () => {
    const directory = await used()
    const lines = linesIn(directory)
    lines[3] = '{"write":"/sys'
    writeFileSync(fileIn(directory), `${lines.join('\n')}\n`)
    expect(await failureOf(directory)).toMatch(/^FILE:4: .*expected one JSON object/)
  })

  it('is refused by line when the machine answers otherwise', async () => {
    const directory = await used()
    appendFileSync(
      fileIn(directory),
      '{"write":"/sys/bus/pci/drivers/nvme/unbind","text":"nobody","answer":"done"}\n',
    )
    expect(await failureOf(directory)).toBe(
      'FILE:10: the model answered "done" to this before, and now "ENODEV"',
    )
  })

  it('is refused when lines are missing from its middle', async () => {
    const directory = await used()
    const lines = linesIn(directory).filter((line) => !line.includes('e1000e/unbind'))
    writeFileSync(fileIn(directory), `${lines.join('\n')}\n`)
    // The card was not taken from its driver, so vfio-pci never had it, and there is no node to give away.
    expect(await failureOf(directory)).not.toBe('opened')
  })

  it('is refused when it is of another machine, or has no heading', async () => {
    const directory = await used()
    await expect(
      keptModel('test', { ...machine, memoryBytes: machine.memoryBytes * 2 }, directory),
    ).rejects.toThrow(`${fileIn(directory)}:1: what follows was done to another machine than test`)
    writeFileSync(fileIn(directory), `${linesIn(directory).slice(1).join('\n')}\n`)
    expect(await failureOf(directory)).toMatch(/^FILE:1: format: /)
  })

  it('is refused when it is too long, or no file', async () => {
    const directory = await used()
    rmSync(fileIn(directory))
    writeFileSync(fileIn(directory), Buffer.alloc(33 * 1024 * 1024))
    expect(await failureOf(directory)).toMatch(
      /cannot be kept in FILE: it has more than 33554432 bytes/,
    )
    rmSync(fileIn(directory))
    await expect(keptModel('test', machine, '/dev/null')).rejects.toMatchObject({
      name: 'IsogroupError',
      code: 'io',
    })
  })

  it('is not written over by a command that another has overtaken', async () => {
    const directory = freshDirectory()
    const [one, two] = [await open(directory), await open(directory)]
    await write(one, 'drivers_probe', CARD)
    await expect(write(two, 'drivers_probe', CARD)).rejects.toThrow(
      'another command changed the model meanwhile',
    )
    await write(one, 'drivers_probe', CARD)
    expect(linesIn(directory)).toHaveLength(3)
    expect(await failureOf(directory)).toBe('opened')
  })

  it('refuses changes that it cannot hold', async () => {
    const kernel = await keptModel('test', machine, '/proc/nowhere')
    await expect(write(kernel, 'drivers_probe', CARD)).rejects.toMatchObject({ code: 'io' })
  })
})
