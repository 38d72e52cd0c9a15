import { describe, expect, it } from 'vitest'
import { encodeUtf8 } from '../base/utf8.ts'
import { type Kernel, KernelError } from '../kernel/kernel.ts'
import { bootedMachine, CARD, CARD_MATE, DISK, USB } from '../model/machine/booted-machine.case.ts'
import { giveToVfio, groupOf, HandClock, openDevice } from '../model/machine/vfio-user.case.ts'
import { modelKernel } from '../model/model-kernel.ts'
import { readGroupState } from './group-state.ts'

const NOWHERE = '0000:77:00.0'
const GONE = { present: false, driver: null, override: null, autoprobe: null }

function machine(): Kernel {
  return modelKernel(bootedMachine(), { clock: new HandClock() })
}

/** The kernel with some of its answers replaced by errnos. */
function failing(kernel: Kernel, code: string, path: RegExp): Kernel {
  const ask = <T>(name: 'text' | 'link' | 'stat', at: string, answer: () => T): T => {
    if (path.test(at)) throw new KernelError(code, name === 'text' ? 'read' : name, at)
    return answer()
  }
  return {
    ...kernel,
    text: (at) => ask('text', at, () => kernel.text(at)),
    link: (at) => ask('link', at, () => kernel.link(at)),
    stat: (at) => ask('stat', at, () => kernel.stat(at)),
  }
}

describe('readGroupState()', () => {
  it('tells drivers, overrides and the group, in the order asked for', () => {
    const kernel = machine()
    expect(readGroupState(kernel, [CARD_MATE, CARD])).toEqual({
      group: groupOf(kernel, CARD),
      devices: [CARD_MATE, CARD].map((address) => ({
        address,
        present: true,
        driver: 'e1000e',
        override: null,
        autoprobe: null,
      })),
      node: null,
    })
  })

  it('has the node as soon as one member is on a VFIO driver', async () => {
    const kernel = machine()
    await giveToVfio(kernel, CARD)
    expect(readGroupState(kernel, [CARD, CARD_MATE])).toMatchObject({
      devices: [
        { driver: 'vfio-pci', override: 'vfio-pci' },
        { driver: 'e1000e', override: null },
      ],
      node: { uid: 0, gid: 0, mode: 0o600 },
    })
  })

  it('says of a function that is not there that it is not there, and of nothing else', () => {
    const kernel = machine()
    const { group, devices } = readGroupState(kernel, [NOWHERE, DISK])
    expect(devices).toMatchObject([
      { address: NOWHERE, ...GONE },
      { present: true, driver: 'nvme' },
    ])
    expect(group).toBe(groupOf(kernel, DISK))
    expect(readGroupState(kernel, [NOWHERE, '../../devices'])).toEqual({
      group: null,
      devices: [
        { address: NOWHERE, ...GONE },
        { address: '../../devices', ...GONE },
      ],
      node: null,
    })
    expect(readGroupState(kernel, [])).toEqual({ group: null, devices: [], node: null })
  })

  it('has no driver for a function whose unbind waits for its user', async () => {
    const kernel = machine()
    await giveToVfio(kernel, USB)
    const { device } = await openDevice(kernel, USB)
    const unbind = '/sys/bus/pci/drivers/vfio-pci/unbind'
    const writing = kernel.write(unbind, encodeUtf8(USB), 1000)
    expect(readGroupState(kernel, [USB])).toMatchObject({
      devices: [{ driver: null, override: 'vfio-pci' }],
      node: { uid: 0 },
    })
    await device.close()
    await writing
    expect(readGroupState(kernel, [USB]).node).toBeNull()
  })

  it('reads whether virtual functions are probed', () => {
    const kernel = machine()
    const of = (text: string): Kernel => ({
      ...kernel,
      text: (path) => (path.endsWith('sriov_drivers_autoprobe') ? text : kernel.text(path)),
    })
    expect(readGroupState(of('1\n'), [DISK]).devices[0]?.autoprobe).toBe(true)
    expect(readGroupState(of('0\n'), [DISK]).devices[0]?.autoprobe).toBe(false)
  })

  it('knows an override that is called like none, or is longer than a line of others', () => {
    const kernel = machine()
    const of = (text: string): Kernel => ({
      ...kernel,
      text: (path) => (path.endsWith('driver_override') ? text : kernel.text(path)),
    })
    const read = (text: string): unknown => readGroupState(of(text), [DISK]).devices[0]?.override
    expect(['(null)\n', '\n', ' none \n', 'null\n'].map(read)).toEqual([
      null,
      null,
      ' none ',
      'null',
    ])
  })

  it('takes a function that goes while it is read for gone', () => {
    const kernel = machine()
    let asked = 0
    const leaving: Kernel = {
      ...failing(kernel, 'ENODEV', /driver_override$/),
      exists: (path) => kernel.exists(path) && ++asked === 1,
    }
    expect(readGroupState(leaving, [DISK]).devices).toEqual([{ address: DISK, ...GONE }])
  })

  it.each([
    ['EACCES', /driver$/, 'permission'],
    ['EIO', /driver_override$/, 'io'],
    ['EPERM', /iommu_group$/, 'permission'],
    ['EIO', /^\/dev\/vfio\//, 'io'],
  ] as const)('throws when %s keeps it from knowing (%s)', (code, path, error) => {
    const kernel = failing(machine(), code, path)
    expect(() => readGroupState(kernel, [DISK])).toThrow(
      expect.objectContaining({ name: 'IsogroupError', code: error }) as Error,
    )
  })
})
