/**
 * Numbers and layouts against <linux/vfio.h> of this machine: a C program, made of our own tables, prints what the
 * compiler makes of the kernel's names.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FieldType, Structure } from './structure.ts'
import * as vfio from './vfio.ts'

type Table = Readonly<Record<string, number>>

/** Ours, the kernel's, and fields that are called otherwise there; null: what C has no field for. */
const STRUCTURES: Readonly<
  Record<string, readonly [Structure<string>, string, Readonly<Record<string, string>>]>
> = {
  GROUP_STATUS: [vfio.GROUP_STATUS, 'vfio_group_status', {}],
  TYPE1_INFO: [
    vfio.TYPE1_INFO,
    'vfio_iommu_type1_info',
    { pageSizes: 'iova_pgsizes', capOffset: 'cap_offset' },
  ],
  DMA_MAP: [vfio.DMA_MAP, 'vfio_iommu_type1_dma_map', {}],
  DMA_UNMAP: [vfio.DMA_UNMAP, 'vfio_iommu_type1_dma_unmap', {}],
  DIRTY_BITMAP: [vfio.DIRTY_BITMAP, 'vfio_iommu_type1_dirty_bitmap', {}],
  DEVICE_INFO: [
    vfio.DEVICE_INFO,
    'vfio_device_info',
    { regions: 'num_regions', irqs: 'num_irqs', capOffset: 'cap_offset' },
  ],
  REGION_INFO: [vfio.REGION_INFO, 'vfio_region_info', { capOffset: 'cap_offset' }],
  IRQ_INFO: [vfio.IRQ_INFO, 'vfio_irq_info', {}],
  IRQ_SET: [vfio.IRQ_SET, 'vfio_irq_set', {}],
  HOT_RESET_INFO: [vfio.HOT_RESET_INFO, 'vfio_pci_hot_reset_info', {}],
  HOT_RESET: [vfio.HOT_RESET, 'vfio_pci_hot_reset', {}],
  DEVICE_FEATURE: [vfio.DEVICE_FEATURE, 'vfio_device_feature', {}],
}

const REQUESTS: readonly (readonly [Table, Readonly<Record<string, string>>])[] = [
  [
    vfio.CONTAINER_REQUEST,
    {
      ...{ getApiVersion: 'VFIO_GET_API_VERSION', checkExtension: 'VFIO_CHECK_EXTENSION' },
      ...{ setIommu: 'VFIO_SET_IOMMU', getInfo: 'VFIO_IOMMU_GET_INFO' },
      ...{ mapDma: 'VFIO_IOMMU_MAP_DMA', unmapDma: 'VFIO_IOMMU_UNMAP_DMA' },
      dirtyPages: 'VFIO_IOMMU_DIRTY_PAGES',
    },
  ],
  [
    vfio.GROUP_REQUEST,
    {
      ...{ getStatus: 'VFIO_GROUP_GET_STATUS', setContainer: 'VFIO_GROUP_SET_CONTAINER' },
      ...{ unsetContainer: 'VFIO_GROUP_UNSET_CONTAINER' },
      getDeviceDescriptor: 'VFIO_GROUP_GET_DEVICE_FD',
    },
  ],
  [
    vfio.DEVICE_REQUEST,
    {
      ...{ getInfo: 'VFIO_DEVICE_GET_INFO', getRegionInfo: 'VFIO_DEVICE_GET_REGION_INFO' },
      ...{ getIrqInfo: 'VFIO_DEVICE_GET_IRQ_INFO', setIrqs: 'VFIO_DEVICE_SET_IRQS' },
      ...{ reset: 'VFIO_DEVICE_RESET', getHotResetInfo: 'VFIO_DEVICE_GET_PCI_HOT_RESET_INFO' },
      ...{ hotReset: 'VFIO_DEVICE_PCI_HOT_RESET', feature: 'VFIO_DEVICE_FEATURE' },
    },
  ],
  [
    vfio.EXTENSION,
    {
      ...{ type1: 'VFIO_TYPE1_IOMMU', type1v2: 'VFIO_TYPE1v2_IOMMU' },
      ...{ nesting: 'VFIO_TYPE1_NESTING_IOMMU', noIommu: 'VFIO_NOIOMMU_IOMMU' },
    },
  ],
  [
    vfio.MAP_FLAG,
    {
      ...{ read: 'VFIO_DMA_MAP_FLAG_READ', write: 'VFIO_DMA_MAP_FLAG_WRITE' },
      vaddr: 'VFIO_DMA_MAP_FLAG_VADDR',
    },
  ],
  [
    vfio.UNMAP_FLAG,
    {
      getDirtyBitmap: 'VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP',
      ...{ all: 'VFIO_DMA_UNMAP_FLAG_ALL', vaddr: 'VFIO_DMA_UNMAP_FLAG_VADDR' },
    },
  ],
  [
    vfio.DIRTY_FLAG,
    {
      ...{ start: 'VFIO_IOMMU_DIRTY_PAGES_FLAG_START', stop: 'VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP' },
      getBitmap: 'VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP',
    },
  ],
  [
    vfio.IRQ_SET_FLAG,
    {
      ...{ dataNone: 'VFIO_IRQ_SET_DATA_NONE', dataBool: 'VFIO_IRQ_SET_DATA_BOOL' },
      ...{ dataEventfd: 'VFIO_IRQ_SET_DATA_EVENTFD', actionMask: 'VFIO_IRQ_SET_ACTION_MASK' },
      actionUnmask: 'VFIO_IRQ_SET_ACTION_UNMASK',
      actionTrigger: 'VFIO_IRQ_SET_ACTION_TRIGGER',
    },
  ],
  [
    vfio.FEATURE_FLAG,
    {
      ...{ get: 'VFIO_DEVICE_FEATURE_GET', set: 'VFIO_DEVICE_FEATURE_SET' },
      probe: 'VFIO_DEVICE_FEATURE_PROBE',
    },
  ],
]

const WIDTH: Readonly<Record<FieldType, number>> = { u8: 1, u16: 2, u32: 4, s32: 4, u64: 8 }

/** Why it cannot be checked here; the test is then shown as skipped. */
const missing =
  spawnSync('gcc', ['--version']).status !== 0
    ? 'gcc is not installed'
    : existsSync('/usr/include/linux/vfio.h')
      ? null
      : 'the headers of the kernel are not installed (linux-libc-dev)'

/** Every number that C knows by name: one line each. */
function source(): string {
  const lines: string[] = []
  for (const [structure, name, names] of Object.values(STRUCTURES)) {
    for (const field of Object.keys(structure.fields)) {
      const member = names[field] ?? field
      lines.push(`AT(${name}, ${member})`)
    }
    lines.push(`SIZE(${name})`)
  }
  for (const [, names] of REQUESTS)
    for (const name of Object.values(names)) lines.push(`N(${name})`)
  return `#include <stddef.h>
#include <stdio.h>
#include <linux/vfio.h>
#define N(name) printf("%s %llu\\n", #name, (unsigned long long)(name));
#define SIZE(s) printf("%s %zu\\n", #s, sizeof(struct s));
#define AT(s, f) printf("%s.%s %zu\\n%s.%s: %zu\\n", #s, #f, offsetof(struct s, f), #s, #f, sizeof(((struct s *)0)->f));
int main(void) {
${lines.join('\n')}
}
`
}

describe.skipIf(missing !== null)(`the tables against <linux/vfio.h>${missing ?? ''}`, () => {
  let folder = ''
  const known = new Map<string, number>()

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'isogroup-headers-'))
    const [file, program] = [join(folder, 'layout.c'), join(folder, 'layout')]
    writeFileSync(file, source())
    const compiled = spawnSync('gcc', ['-o', program, file], { encoding: 'utf8' })
    if (compiled.status !== 0) throw new Error(compiled.stderr)
    const { stdout } = spawnSync(program, { encoding: 'utf8' })
    for (const line of stdout.trim().split('\n')) {
      const [name = '', value = ''] = line.split(' ')
      known.set(name, Number(value))
    }
  })

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  it.each(Object.entries(STRUCTURES))('%s lies as the compiler lays it', (_, entry) => {
    const [structure, name, names] = entry
    for (const [field, [offset, type]] of Object.entries(structure.fields)) {
      const member = `${name}.${names[field] ?? field}`
      expect([member, known.get(member), known.get(`${member}:`)]).toEqual([
        member,
        offset,
        WIDTH[type],
      ])
    }
    // Padding to eight bytes is not always written down: vfio_device_info ends at cap_offset before Linux 6.6.
    expect(Math.abs((known.get(name) ?? NaN) - structure.bytes)).toBeLessThan(8)
  })

  it.each(REQUESTS)('numbers %#', (ours, names) => {
    expect(Object.keys(names).sort()).toEqual(Object.keys(ours).sort())
    for (const [key, name] of Object.entries(names)) {
      expect([name, known.get(name)]).toEqual([name, ours[key]])
    }
  })
})
