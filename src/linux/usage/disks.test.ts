import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { known } from '../../base/fact.ts'
import type { DiskUse } from '../../isolation/live-host.ts'
import { block, mounted, NOBODY, type Paper, paperKernel, papers } from './paper-kernel.case.ts'
import { readUsage } from './usage.ts'

const NVME = '0000:02:00.0'
const NVME_DIR = 'pci0000:00/0000:00:1c.0/0000:02:00.0/nvme/nvme0'
const SATA = '0000:00:17.0'

function disksOf(address: string, ...parts: readonly Paper[]): readonly DiskUse[] {
  const [usage] = readUsage(paperKernel(papers(...parts)), [address], NOBODY)
  if (usage?.disks.known !== true) throw new Error(JSON.stringify(usage?.disks))
  return usage.disks.value
}

/** nvme0n1 with partitions 1 to 3. */
function nvme(holders: Readonly<Record<string, readonly string[]>> = {}): Paper {
  return papers(
    block('nvme0n1', { at: NVME_DIR, number: '259:0', holders: holders['nvme0n1'] ?? [] }),
    ...[1, 2, 3].map((part) => {
      const name = `nvme0n1p${String(part)}`
      const at = `${NVME_DIR}/nvme0n1`
      return block(name, { at, number: `259:${String(part)}`, holders: holders[name] ?? [] })
    }),
  )
}

function mapped(
  number: number,
  name: string,
  uuid: string,
  holders: readonly string[] = [],
): Paper {
  const more = { 'dm/name': `${name}\n`, 'dm/uuid': `${uuid}\n` }
  const at = 'virtual/block'
  return block(`dm-${String(number)}`, { at, number: `254:${String(number)}`, holders, more })
}

describe('disks of a function', () => {
  it('are unused when nothing is mounted from them', () => {
    expect(disksOf(NVME, nvme(), mounted('0:2 / tmpfs tmpfs'))).toEqual([])
  })

  it('hold the root, /boot and other mounts, each said once and by partition', () => {
    const mounts = mounted('259:2 / ext4 /dev/nvme0n1p2', '259:1 /boot/efi vfat /dev/nvme0n1p1')
    expect(disksOf(NVME, nvme(), mounts)).toEqual([
      { name: 'nvme0n1p1', use: 'boot', detail: '/boot/efi' },
      { name: 'nvme0n1p2', use: 'root', detail: '/' },
    ])
    const srv = mounted('0:2 / tmpfs tmpfs', '259:3 /srv/my\\040data ext4 /dev/nvme0n1p3')
    expect(disksOf(NVME, nvme(), srv)).toEqual([
      { name: 'nvme0n1p3', use: 'mount', detail: '/srv/my data' },
    ])
  })

  it('hold the root several layers up: RAID, encryption, LVM', () => {
    const layers = papers(
      nvme({ nvme0n1p3: ['md0'] }),
      block('md0', {
        at: 'virtual/block',
        number: '9:0',
        holders: ['dm-0'],
        more: { 'md/level': 'raid1\n' },
      }),
      mapped(0, 'crypt', 'CRYPT-LUKS2-aa-crypt', ['dm-1']),
      mapped(1, 'vg-root', 'LVM-xyz'),
      mounted('254:1 / ext4 /dev/mapper/vg-root'),
    )
    expect(disksOf(NVME, layers)).toEqual([
      { name: 'nvme0n1p3', use: 'holder', detail: 'md0 (raid1)' },
      {
        name: 'nvme0n1p3',
        use: 'root',
        detail: '/ (through md0 (raid1), dm-0 (crypt, encrypted), dm-1 (vg-root, LVM))',
      },
    ])
  })

  it('are swapped to as a partition, a mapped device or a file', () => {
    const header = 'Filename Type Size Used Priority\n'
    const swaps = (path: string, type = 'partition'): Paper => ({
      files: { '/proc/swaps': `${header}${path} ${type} 1 0 -2\n` },
    })
    const root = mounted('8:1 / ext4 /dev/sda1', '259:3 /srv ext4 /dev/nvme0n1p3')
    expect(disksOf(NVME, nvme(), root, swaps('/dev/nvme0n1p2'))).toContainEqual({
      name: 'nvme0n1p2',
      use: 'swap',
      detail: '/dev/nvme0n1p2',
    })
    expect(disksOf(NVME, nvme(), root, swaps('/srv/swap.img', 'file'))).toContainEqual({
      name: 'nvme0n1p3',
      use: 'swap',
      detail: '/srv/swap.img',
    })
    // Lies on sda, although its name begins like the mount's.
    expect(
      disksOf(NVME, nvme(), root, swaps('/srvx/swap.img', 'file')).map(({ use }) => use),
    ).toEqual(['mount'])
    const onMapper = papers(nvme({ nvme0n1p2: ['dm-3'] }), mapped(3, 'vg-swap', 'LVM-s'), root)
    expect(disksOf(NVME, onMapper, swaps('/dev/mapper/vg-swap')).map(({ use }) => use)).toEqual(
      expect.arrayContaining(['holder', 'swap']),
    )
  })

  it('are swapped to by whoever sees the device elsewhere, or by a name that says nothing', () => {
    const swaps = (path: string): Paper => ({
      files: { '/proc/swaps': `Filename Type Size Used Priority\n${path} partition 1 0 -2\n` },
    })
    const root = mounted('8:1 / ext4 /dev/sda1')
    for (const path of ['/srv/other-root/dev/nvme0n1p2', '/dev/nvme0n1p2\\040(deleted)']) {
      expect(disksOf(NVME, nvme(), root, swaps(path))).toMatchObject([{ use: 'swap' }])
    }
    expect(() => disksOf(NVME, nvme(), root, swaps('/srv/node'))).toThrow('/srv/node')
  })

  it('are found under a btrfs of which mountinfo names another device', () => {
    const parts = papers(
      nvme(),
      block('sda', { at: `pci0000:00/${SATA}/ata1/block`, number: '8:0' }),
      {
        files: {
          '/sys/fs/btrfs/1234-abcd/devices/sda': '',
          '/sys/fs/btrfs/1234-abcd/devices/nvme0n1p3': '',
          '/sys/fs/btrfs/features/raid56': '1\n',
        },
      },
    )
    const mounts = mounted('0:31 / tmpfs tmpfs', '0:42 /data btrfs /dev/sda')
    const expected = { use: 'mount', detail: '/data' }
    expect(disksOf(NVME, parts, mounts)).toEqual([{ name: 'nvme0n1p3', ...expected }])
    expect(disksOf(SATA, parts, mounts)).toEqual([{ name: 'sda', ...expected }])
  })

  it('are found behind a multipath NVMe disk, which hangs below no function itself', () => {
    const head = 'virtual/nvme-subsystem/nvme-subsys0'
    const parts = papers(
      block('nvme0c0n1', { at: NVME_DIR, number: '' }),
      block('nvme0n1', { at: head, number: '259:0' }),
      block('nvme0n1p1', { at: `${head}/nvme0n1`, number: '259:1' }),
      mounted('259:1 / ext4 /dev/nvme0n1p1'),
    )
    expect(disksOf(NVME, parts)).toEqual([{ name: 'nvme0c0n1', use: 'root', detail: '/' }])
  })

  it('carry what is on a loop device whose file lies on them', () => {
    const parts = papers(
      nvme(),
      block('loop0', {
        at: 'virtual/block',
        number: '7:0',
        more: { 'loop/backing_file': '/srv/live.img\n' },
      }),
      mounted('7:0 / squashfs /dev/loop0', '259:2 /srv ext4 /dev/nvme0n1p2'),
    )
    expect(disksOf(NVME, parts)).toEqual([
      { name: 'nvme0n1p2', use: 'mount', detail: '/srv' },
      { name: 'nvme0n1p2', use: 'root', detail: '/ (through loop0)' },
    ])
  })

  it('are in imported ZFS pools by what udev found on them', () => {
    const record = (type: string, label: string): string =>
      `E:ID_FS_TYPE=${type}\nE:ID_FS_LABEL=${label}\n`
    const udev = Object.fromEntries(
      [0, 1, 2, 3].map((n) => [`/run/udev/data/b259:${String(n)}`, record('ext4', 'x')]),
    )
    const imported = { files: { '/proc/spl/kstat/zfs/tank/state': 'ONLINE\n', ...udev } }
    const member = { files: { '/run/udev/data/b259:1': record('zfs_member', 'tank') } }
    const exported = { files: { '/run/udev/data/b259:1': record('zfs_member', 'old') } }
    const root = mounted('0:2 / tmpfs tmpfs')
    expect(disksOf(NVME, nvme(), root, imported, member)).toEqual([
      { name: 'nvme0n1p1', use: 'zfs', detail: 'tank' },
    ])
    expect(disksOf(NVME, nvme(), root, imported, exported)).toEqual([])
  })

  it('are unknown when pools are imported and nobody tells what is on them', () => {
    const files = { '/proc/spl/kstat/zfs/tank/state': 'ONLINE\n' }
    const kernel = paperKernel(papers(nvme(), mounted('0:2 / tmpfs tmpfs'), { files }))
    expect(readUsage(kernel, [NVME], NOBODY)[0]?.disks.known).toBe(false)
  })

  it('are mounted where only a container sees it, and where nobody sees it', () => {
    const container: Paper = {
      files: {
        '/proc/812/mountinfo': '50 1 259:3 / /var/lib/db rw - xfs /dev/nvme0n1p3 rw\n',
        '/proc/812/comm': 'postgres\n',
      },
      links: { '/proc/self/ns/mnt': 'mnt:[1]', '/proc/812/ns/mnt': 'mnt:[2]' },
    }
    const root = mounted('0:2 / tmpfs tmpfs')
    expect(disksOf(NVME, nvme(), root, container)).toEqual([
      { name: 'nvme0n1p3', use: 'mount', detail: '/var/lib/db (seen by postgres (812))' },
    ])
    const detached = { files: { '/sys/fs/ext4/nvme0n1p2/errors_count': '0\n' } }
    expect(disksOf(NVME, nvme(), root, detached)).toMatchObject([
      { name: 'nvme0n1p2', use: 'open' },
    ])
  })

  it('say unknown, not unused, when mounts of other programs may not be looked at', () => {
    const other = {
      links: { '/proc/self/ns/mnt': 'mnt:[1]', '/proc/7/ns/mnt': '!EACCES' },
      files: { '/proc/7/comm': 'postgres\n' },
    }
    const quiet = paperKernel(papers(nvme(), mounted('0:2 / tmpfs tmpfs'), other))
    expect(readUsage(quiet, [NVME], NOBODY)[0]?.disks.known).toBe(false)
    // A function without disks has none, whatever is mounted.
    expect(readUsage(quiet, [SATA], NOBODY)[0]?.disks).toEqual(known([]))
    // What was seen is enough to refuse.
    const seen = papers(nvme(), mounted('259:2 / ext4 /dev/nvme0n1p2'), other)
    expect(disksOf(NVME, seen)).toHaveLength(1)
  })

  it('are those of everything below: of the VMD endpoint too', () => {
    const at = 'pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0/nvme/nvme1'
    const disk = block('nvme1n1', { at, number: '259:9' })
    const mounts = mounted('259:9 /srv xfs /dev/nvme1n1')
    for (const address of ['10000:e1:00.0', '0000:00:0e.0']) {
      expect(disksOf(address, disk, mounts)).toHaveLength(1)
    }
    expect(disksOf(NVME, disk, mounts)).toEqual([])
  })

  it('end where devices stand on each other in a circle', () => {
    const circle = papers(
      nvme({ nvme0n1: ['dm-0'] }),
      mapped(0, 'a', '', ['dm-1']),
      mapped(1, 'b', '', ['dm-0']),
    )
    expect(disksOf(NVME, circle, mounted('0:2 / tmpfs tmpfs'))).toHaveLength(1)
  })
})

describe('any stack of devices', () => {
  it('leads from a mount on top to the disk at the bottom, and to no other disk', () => {
    const depth = fc.integer({ min: 0, max: 12 })
    fc.assert(
      fc.property(depth, depth, (layers, others) => {
        const stack = (from: number, count: number): Paper[] =>
          Array.from({ length: count }, (_, n) =>
            mapped(
              from + n,
              `m${String(from + n)}`,
              '',
              n + 1 < count ? [`dm-${String(from + n + 1)}`] : [],
            ),
          )
        const top = layers === 0 ? '259:1' : `254:${String(layers - 1)}`
        const parts = papers(
          nvme(layers === 0 ? {} : { nvme0n1p1: ['dm-0'] }),
          block('sda', {
            at: `pci0000:00/${SATA}/ata1/block`,
            number: '8:0',
            holders: others === 0 ? [] : ['dm-100'],
          }),
          ...stack(0, layers),
          ...stack(100, others),
          mounted(`${top} /data ext4 /dev/whatever`),
        )
        const uses = disksOf(NVME, parts)
        expect(uses.filter(({ use }) => use === 'mount')).toHaveLength(1)
        expect(uses.filter(({ use }) => use === 'holder')).toHaveLength(layers === 0 ? 0 : 1)
        expect(disksOf(SATA, parts).some(({ use }) => use === 'mount')).toBe(false)
      }),
    )
  })
})
