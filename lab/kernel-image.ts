/**
 * The uncompressed kernel inside Debian's compressed image.
 *
 * A bzImage unpacks itself, which costs one second (zstd) to four (xz) under emulation at every boot.
 * Debian's kernels also have a PVH entry point, at which QEMU can start the plain ELF file. So it is
 * taken out once, on the host, and kept in the cache.
 *
 * Linux boot protocol: byte 0x1f1 counts the 512-byte setup sectors after the first, dwords 0x248 and
 * 0x24c give offset (from the end of the setup) and length of the payload, whose last four bytes are
 * the uncompressed size.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requireProgram } from './packages.ts'
import { runOrThrow } from './process.ts'

const setupSectorsOffset = 0x1f1
const magicOffset = 0x202
const payloadOffsetOffset = 0x248
const payloadLengthOffset = 0x24c
const sectorSize = 512
const sizeTrailer = 4
const elfMagic = 0x7f454c46

type Payload = {
  readonly compression: 'xz' | 'zstd'
  readonly content: Buffer
  readonly size: number
}

/** Finds the compressed kernel in a bzImage. */
export function findPayload(image: Buffer): Payload {
  if (image.toString('latin1', magicOffset, magicOffset + 4) !== 'HdrS') {
    throw new Error('not a Linux bzImage: no HdrS at 0x202')
  }
  const setupSectors = image.readUInt8(setupSectorsOffset) || 4
  const start = (setupSectors + 1) * sectorSize + image.readUInt32LE(payloadOffsetOffset)
  const end = start + image.readUInt32LE(payloadLengthOffset)
  const content = image.subarray(start, end - sizeTrailer)
  const size = image.readUInt32LE(end - sizeTrailer)
  const magic = content.readUInt32LE(0)
  if (magic === 0xfd2fb528) return { compression: 'zstd', content, size }
  if (magic === 0x587a37fd) return { compression: 'xz', content, size }
  throw new Error(`the kernel is compressed in an unknown way (it begins ${magic.toString(16)})`)
}

/** The uncompressed ELF kernel. */
export async function extractKernel(image: Buffer): Promise<Buffer> {
  const payload = findPayload(image)
  const directory = await mkdtemp(join(tmpdir(), 'isogroup-lab-'))
  try {
    const path = join(directory, 'payload')
    await writeFile(path, payload.content)
    const kernel = await runOrThrow(requireProgram(payload.compression), ['-dc', path])
    if (kernel.readUInt32BE(0) !== elfMagic) {
      throw new Error('the payload of the kernel image is not an ELF file')
    }
    if (kernel.length < payload.size) {
      throw new Error(`the kernel image is cut off: ${kernel.length} bytes of ${payload.size}`)
    }
    return kernel
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
