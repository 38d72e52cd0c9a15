/**
 * The "newc" cpio format, as far as the Linux kernel reads it: the archive a kernel unpacks into its
 * first root file system.
 *
 * An entry is a 110-byte header of ASCII hex fields, the name with a closing NUL, and the content;
 * name and content are each padded to four bytes. `TRAILER!!!` ends an archive. The kernel accepts
 * several archives one after the other, later entries replacing earlier ones, which is how the
 * large, rarely changing base and the small program are put together without repacking.
 */
export type CpioEntry = {
  /** Path without a leading slash. Parents must come first: the kernel does not create them. */
  readonly path: string
  readonly kind: 'file' | 'directory' | 'link'
  /** Permission bits. */
  readonly mode: number
  /** Content of a file, or target of a link. */
  readonly content?: Uint8Array | string
}

const kindBits: Readonly<Record<CpioEntry['kind'], number>> = {
  file: 0o100000,
  directory: 0o040000,
  link: 0o120000,
}

const trailerName = 'TRAILER!!!'
const archiveAlignment = 512

/** One archive, padded so that another can follow it. Everything in it belongs to root. */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = []
  entries.forEach((entry, index) => {
    parts.push(...cpioEntry(entry, index + 1))
  })
  parts.push(...cpioEntry({ path: trailerName, kind: 'file', mode: 0 }, 0))
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([...parts, padding(length, archiveAlignment)])
}

function cpioEntry(entry: CpioEntry, inode: number): readonly Buffer[] {
  const content = Buffer.from(entry.content ?? '')
  const name = Buffer.from(`${entry.path}\0`)
  const isTrailer = entry.path === trailerName
  const mode = isTrailer ? 0 : kindBits[entry.kind] | entry.mode
  const links = entry.kind === 'directory' ? 2 : 1
  const fields = [inode, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, name.length, 0]
  const header = Buffer.from(`070701${fields.map(hexField).join('')}`)
  const headerAndName = Buffer.concat([header, name, padding(header.length + name.length, 4)])
  return [headerAndName, content, padding(content.length, 4)]
}

function hexField(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0')
}

function padding(length: number, alignment: number): Buffer {
  return Buffer.alloc((alignment - (length % alignment)) % alignment)
}

/** Puts every missing parent directory in front, so that the kernel can create the entries. */
export function withParents(entries: readonly CpioEntry[]): readonly CpioEntry[] {
  const known = new Set<string>()
  const complete: CpioEntry[] = []
  for (const entry of entries) {
    const parts = entry.path.split('/')
    for (let depth = 1; depth < parts.length; depth += 1) {
      const parent = parts.slice(0, depth).join('/')
      if (!known.has(parent)) complete.push({ path: parent, kind: 'directory', mode: 0o755 })
      known.add(parent)
    }
    if (entry.kind === 'directory' && known.has(entry.path)) continue
    known.add(entry.path)
    complete.push(entry)
  }
  return complete
}
