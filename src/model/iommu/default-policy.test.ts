import { describe, expect, it } from 'vitest'
import { defaultPolicy } from './default-policy.ts'

describe('defaultPolicy', () => {
  // biome-ignore format: a table
  it.each([
    ['', 'DMA-FQ', 'DMA-FQ'],
    ['', 'DMA', 'DMA'],
    ['', 'identity', 'identity'],
    ['quiet iommu=pt', 'DMA-FQ', 'identity'],
    ['iommu=soft,pt', 'DMA-FQ', 'identity'],
    ['iommu=nopt', 'identity', 'DMA-FQ'],
    ['iommu.passthrough=1', 'DMA-FQ', 'identity'],
    ['iommu.passthrough=0', 'identity', 'DMA-FQ'],
    ['iommu.passthrough=on iommu=nopt', 'DMA-FQ', 'DMA-FQ'],
    ['iommu.strict=1', 'DMA-FQ', 'DMA'],
    ['iommu.strict=0', 'DMA', 'DMA-FQ'],
    ['iommu.strict=maybe', 'DMA-FQ', 'DMA-FQ'],
    ['iommu.strict=1 iommu=pt', 'DMA-FQ', 'identity'],
    ['intel_iommu=on,strict', 'DMA-FQ', 'DMA'],
    ['amd_iommu=fullflush', 'DMA-FQ', 'DMA'],
    ['intel_iommu=on', 'DMA-FQ', 'DMA-FQ'],
  ] as const)('"%s" on a kernel built for %s gives %s', (line, configured, expected) => {
    expect(defaultPolicy(line, configured).type).toBe(expected)
  })

  it('logs what it chose and who asked for it', () => {
    expect(defaultPolicy('', 'DMA-FQ').messages).toEqual([
      'iommu: Default domain type: Translated',
      'iommu: DMA domain TLB invalidation policy: lazy mode',
    ])
    expect(defaultPolicy('iommu=pt', 'DMA-FQ').messages).toEqual([
      'iommu: Default domain type: Passthrough (set via kernel command line)',
    ])
    expect(defaultPolicy('iommu.strict=1', 'DMA-FQ').messages[1]).toBe(
      'iommu: DMA domain TLB invalidation policy: strict mode (set via kernel command line)',
    )
    expect(defaultPolicy('intel_iommu=strict', 'DMA-FQ').messages[0]).toMatch(/^DMAR: .*deprecated/)
  })
})
