import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { IsogroupError } from '../base/errors.ts'
import type { Host } from '../isolation/host.ts'
import { nativeKernel } from '../kernel/native/native-kernel.ts'
import { captureHost, maskCommandLine } from '../linux/capture.ts'
import { linuxHost } from '../linux/linux-host.ts'
import { sampleTree, writeTree } from '../linux/tree.case.ts'
import { writeCapture } from './capture-file.ts'
import { captureSource } from './capture-source.ts'
import { openHost } from './open-host.ts'

const dir = mkdtempSync(join(tmpdir(), 'isogroup-capture-'))
const root = writeTree(sampleTree())
const file = join(dir, 'sample.isocap')
writeCapture(file, captureHost(nativeKernel(root), 'a tree', false), false)
afterAll(() => {
  rmSync(dir, { recursive: true })
  rmSync(root, { recursive: true })
})

function everything(host: Host): unknown {
  const snapshot = host.snapshot()
  const addresses = snapshot.functions.map((fn) => fn.address)
  return JSON.parse(
    JSON.stringify([snapshot, host.details(addresses), host.readiness()]),
  ) as unknown
}

describe('captureHost() and openHost("file:...")', () => {
  it('replays everything as on the host, with identifiers when asked for', async () => {
    const whole = join(dir, 'whole.isocap')
    writeCapture(whole, captureHost(nativeKernel(root), 'a tree', true), false)
    const replayed = everything(await openHost(`file:${whole}`))
    expect(replayed).toEqual(everything(linuxHost(nativeKernel(root), 'a tree')))
    expect(JSON.stringify(replayed)).not.toContain('not part of the capture')
  })

  it('replays the same without identifiers but for what was left out', async () => {
    const mask = (value: unknown): string =>
      JSON.stringify(value)
        .replaceAll('enxa0369f123456', 'enx000000000001')
        .replace(/BOOT_IMAGE=[^"]*/, '')
        .replaceAll('563412ffff9f36a0', '0000000000000000')
    const replayed = everything(await openHost(`file:${file}`))
    expect(mask(replayed)).toBe(mask(everything(linuxHost(nativeKernel(root), 'a tree'))))
  })

  it("leaves out serial numbers, addresses, host name and names of other machines' devices", () => {
    const text = gunzipSync(readFileSync(file)).toString()
    for (const secret of [
      '563412ffff9f36a0',
      'a0369f',
      'secrethost',
      '1234-5678',
      '10.0.0.1',
      'Not in this host',
    ]) {
      expect(text).not.toContain(secret)
    }
    expect(text).toContain('intel_iommu=on')
    expect(text).toContain('I350')
  })

  it('refuses to overwrite unless told to', () => {
    const document = captureHost(nativeKernel(root), 'a tree', false)
    expect(() => {
      writeCapture(file, document, false)
    }).toThrow(/EEXIST/)
    writeCapture(file, document, true)
  })

  it('the command line keeps what matters to isolation', () => {
    const kept =
      'intel_iommu=on iommu=pt pcie_acs_override=downstream vfio-pci.ids=10de:1b80 pci=noaer'
    expect(maskCommandLine(`root=/dev/sda1 ${kept} rd.luks.uuid=luks-1`)).toBe(
      `root=*** ${kept} rd.luks.uuid=***`,
    )
  })
})

describe('openHost() refuses bad captures', () => {
  async function codeOf(bytes: Uint8Array | string): Promise<string> {
    const path = join(dir, 'bad')
    writeFileSync(path, bytes)
    try {
      everything(await openHost(`file:${path}`))
      return 'opened'
    } catch (cause) {
      if (cause instanceof IsogroupError) return cause.code
      throw cause
    }
  }

  it('of a newer version, cut off, of another kind, and bombs', async () => {
    const good = readFileSync(file)
    expect(await codeOf('{"format":"isogroup-capture","version":2}')).toBe('newer-version')
    expect(await codeOf(good.subarray(0, good.length - 10))).toBe('bad-capture')
    expect(await codeOf('hello')).toBe('bad-capture')
    expect(await codeOf('{}')).toBe('bad-capture')
    expect(await codeOf('null')).toBe('bad-capture')
    expect(await codeOf('')).toBe('bad-capture')
    const capture = '{"format":"isogroup-capture","version":1,"source":"x","recording":'
    expect(await codeOf(`${capture}{"text":7}}`)).toBe('bad-capture')
    expect(
      await codeOf(`${capture}{"text":{},"link":{},"list":{"/":[1]},"bytes":{},"exists":{}}}`),
    ).toBe('bad-capture')
    const huge = `{"text":{},"link":{},"list":{},"bytes":{"/x":{"hex":"","size":99999999}},"exists":{}}}`
    expect(await codeOf(capture + huge)).toBe('bad-capture')
  })

  /** The good document with one member of another value. */
  function changed(change: (document: Record<string, Record<string, unknown>>) => void): string {
    const document = JSON.parse(gunzipSync(readFileSync(file)).toString()) as Record<
      string,
      Record<string, unknown>
    >
    change(document)
    return JSON.stringify(document)
  }

  it('of no version', async () => {
    for (const version of [0, -1, 0.5, '1', null, [1]]) {
      const text = changed((document) => Object.assign(document, { version }))
      expect([version, await codeOf(text)]).toEqual([version, 'bad-capture'])
    }
    expect(await codeOf(changed((document) => Object.assign(document, { version: 1 })))).toBe(
      'opened',
    )
  })

  it('nested deeper than a stack', async () => {
    const deep = '['.repeat(200_000) + ']'.repeat(200_000)
    expect(await codeOf(`{"format":"isogroup-capture","version":${deep}}`)).toBe('bad-capture')
    expect(await codeOf(`{"format":"isogroup-machine","version":${deep}}`)).toBe('bad-machine')
    const capture = '{"format":"isogroup-capture","version":1,"source":"x","recording":'
    expect(await codeOf(`${capture}{"text":{"/x":${deep}}}}`)).toBe('bad-capture')
  })

  it.each([
    ['0'.repeat(50_000_000), 4096],
    ['00', 0],
    ['000', 2],
    ['0g', 1],
    ['AB', 1],
    ['', -1],
    ['', 65_537],
    ['', 1.5],
  ])('with bytes that are none', async (hex, size) => {
    const text = changed((document) => {
      Object.assign(document['recording']?.['bytes'] as object, { '/x': { hex, size } })
    })
    expect(await codeOf(text)).toBe('bad-capture')
  })

  it('that would unpack to more than memory', async () => {
    const path = join(dir, 'bomb')
    writeFileSync(path, gzipSync(new Uint8Array(257 * 1024 * 1024), { level: 1 }))
    await expect(openHost(`file:${path}`)).rejects.toMatchObject({
      code: 'bad-capture',
      message: expect.stringContaining('unpacks to more than the 268435456 bytes') as string,
    })
  })

  it('any damage to a good one gives an error of ours or a working host', async () => {
    const json = gunzipSync(readFileSync(file)).toString()
    const damage = fc.record({
      at: fc.nat(json.length - 1),
      length: fc.nat(40),
      insert: fc.string({ maxLength: 12 }),
      zip: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(damage, async ({ at, length, insert, zip }) => {
        const text = json.slice(0, at) + insert + json.slice(at + length)
        expect(await codeOf(zip ? gzipSync(text) : text)).toMatch(
          /^(?:opened|bad-capture|newer-version)$/,
        )
      }),
      { numRuns: Number(process.env['ISOGROUP_RUNS'] ?? 400) },
    )
  })

  it('any bytes give an error of ours', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.boolean(), async (bytes, zip) => {
        expect(await codeOf(zip ? gzipSync(bytes) : bytes)).toBe('bad-capture')
      }),
      { numRuns: Number(process.env['ISOGROUP_RUNS'] ?? 300) },
    )
  })
})

describe('openHost()', () => {
  it.each([
    ['nothing', 'usage'],
    ['file:', 'usage'],
    ['file:/does/not/exist', 'io'],
    ['lspci:/does/not/exist', 'io'],
    ['linux:', 'usage'],
    ['linux:/does/not/exist', 'no-source'],
    ['model:no-such-machine', 'no-source'],
  ])('%s is refused with %s', async (source, code) => {
    await expect(openHost(source)).rejects.toMatchObject({ code })
  })

  it('opens a tree, a built-in machine and a text', async () => {
    expect((await openHost(`linux:${root}`)).snapshot().functions).toHaveLength(6)
    expect((await openHost('model:lambda-wrx80-4090')).snapshot().functions.length).toBeGreaterThan(
      80,
    )
    const path = join(dir, 'text')
    writeFileSync(path, '00:00.0 Host bridge [0600]: Intel Corporation Device [8086:8a12]\n')
    expect((await openHost(`lspci:${path}`)).snapshot().functions).toHaveLength(1)
  })
})

describe('captureSource()', () => {
  it.each([
    ['linux:', 'usage'],
    ['linux:/does/not/exist', 'no-source'],
    ['model:nowhere', 'no-source'],
    ['file:facts', 'usage'],
  ])('%s is refused with %s, and no file is left', async (source, code) => {
    const path = join(dir, 'never')
    const request = { source, path, identifiers: false, overwrite: false }
    await expect(captureSource(request)).rejects.toMatchObject({ code })
    expect(existsSync(path)).toBe(false)
  })

  it('records what openHost() shows, also the names that this machine lends to a tree', async () => {
    const { files, links } = sampleTree()
    const rest = Object.fromEntries(
      Object.entries(files).filter(([name]) => !name.endsWith('/pci.ids')),
    )
    const bare = join(dir, 'bare')
    renameSync(writeTree({ files: rest, links }), bare)
    const source = `linux:${bare}`
    const path = join(dir, 'recorded')
    await captureSource({ source, path, identifiers: true, overwrite: false })
    expect(everything(await openHost(`file:${path}`))).toEqual(everything(await openHost(source)))
  })
})
