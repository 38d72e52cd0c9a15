import { describe, expect, it } from 'vitest'
import { known } from '../base/fact.ts'
import type { GroupState } from '../isolation/transaction/state.ts'
import { faulty } from '../kernel/faulty.ts'
import { KernelError } from '../kernel/kernel.ts'
import { bootedMachine, CARD, CARD_MATE, DISK } from '../model/machine/booted-machine.case.ts'
import { HandClock } from '../model/machine/vfio-user.case.ts'
import { bootModel } from '../model/model.ts'
import { type ModelKernel, modelKernel } from '../model/model-kernel.ts'
import { linuxLiveHost } from './live-host.ts'

function kernelOf(loaded?: readonly string[]): ModelKernel {
  const { machine } = bootedMachine()
  const model = bootModel(loaded === undefined ? machine : { ...machine, loaded })
  return modelKernel(model, { clock: new HandClock() })
}

describe('linuxLiveHost()', () => {
  it('is the host it would be to look at, and can be changed', async () => {
    const host = linuxLiveHost(kernelOf(), 'model')
    expect(host.snapshot().source).toBe('model')
    const before: GroupState = host.state([CARD, CARD_MATE])
    for (const address of [CARD, CARD_MATE]) {
      await host.perform({ kind: 'set-override', address, driver: 'vfio-pci' }, 1000)
      await host.perform({ kind: 'unbind', address, driver: 'e1000e' }, 1000)
      await host.perform({ kind: 'probe', address, driver: 'vfio-pci' }, 1000)
    }
    const claimed = host.state([CARD, CARD_MATE])
    expect(claimed.devices.map(({ driver }) => driver)).toEqual(['vfio-pci', 'vfio-pci'])
    expect(host.programs().usersOf(claimed.group ?? '')).toEqual(known([]))
    for (const address of [CARD, CARD_MATE]) {
      await host.perform({ kind: 'set-override', address, driver: 'e1000e' }, 1000)
      await host.perform({ kind: 'unbind', address, driver: 'vfio-pci' }, 1000)
      await host.perform({ kind: 'probe', address, driver: 'e1000e' }, 1000)
      await host.perform({ kind: 'set-override', address, driver: null }, 1000)
    }
    expect(host.state([CARD, CARD_MATE])).toEqual(before)
  })

  it('answers everything that a plan asks', () => {
    const host = linuxLiveHost(kernelOf(), 'model')
    const [usage] = host.usage([DISK], host.programs())
    expect(usage).toMatchObject({ address: DISK, programs: { known: true, value: [] } })
    expect(host.identities([DISK])).toHaveLength(1)
    expect(host.memlock(0)).toEqual(known(8 * 2 ** 20))
    expect(host.accounts().users).toMatchObject({ known: true })
    expect(host.bootId()).toMatch(/^[0-9a-f-]{36}$/)
    expect(host.stuckEvidence(DISK)).toEqual([])
    expect(host.writesOf({ kind: 'probe', address: DISK, driver: 'nvme' })).toHaveLength(1)
  })

  it('loads the module of a driver that is missing, once', async () => {
    const kernel = faulty(kernelOf(['pcieport']))
    const host = linuxLiveHost(kernel, 'model')
    expect(host.hasDriver('vfio-pci')).toBe(false)
    await host.loadDriver('vfio-pci')
    expect(host.hasDriver('vfio-pci')).toBe(true)
    await host.loadDriver('vfio-pci')
    expect(kernel.changes.map(({ action, path }) => `${action} ${path}`)).toEqual(['load vfio_pci'])
  })

  it('says why a driver cannot be loaded', async () => {
    const refusal = async (driver: string, code?: string): Promise<unknown> => {
      const below = kernelOf(['pcieport'])
      const kernel = faulty(below, code === undefined ? [] : [{ kind: 'errno', at: 1, code }])
      return linuxLiveHost(kernel, 'model')
        .loadDriver(driver)
        .catch((cause: unknown) => cause)
    }
    expect(await refusal('nothing')).toMatchObject({
      code: 'refused',
      message: 'driver nothing cannot be loaded: this kernel has no such module',
    })
    expect(await refusal('vfio-pci', 'EPERM')).toMatchObject({
      message: expect.stringContaining('does not allow it') as string,
    })
    expect(await refusal('vfio-pci', 'ETIMEDOUT')).toMatchObject({
      message: expect.stringContaining('in time') as string,
    })
    expect(await refusal('vfio-pci', 'EDOM')).toMatchObject({
      message: 'driver vfio-pci cannot be loaded: EDOM',
    })
    expect(await refusal('../e1000e')).toMatchObject({ code: 'refused' })
    // Its module is there, the driver of that name is not.
    expect(await refusal('vfio_iommu_type1')).toMatchObject({
      message: expect.stringContaining('brings no driver of that name') as string,
    })
  })

  it('passes on what is no answer of the kernel', async () => {
    const kernel = faulty(kernelOf(['pcieport']))
    kernel.kill()
    await expect(
      linuxLiveHost(kernel, 'model').perform({ kind: 'probe', address: DISK, driver: 'x' }, 1),
    ).rejects.toMatchObject({ name: 'Killed' })
  })

  it('has no driver by a name that is no name', () => {
    const host = linuxLiveHost(kernelOf(), 'model')
    expect(host.hasDriver('e1000e')).toBe(true)
    expect(
      ['', '.', '..', 'e1000e/bind', '../drivers'].map((name) => host.hasDriver(name)),
    ).toEqual([false, false, false, false, false])
  })

  it('does not guess which boot it is', () => {
    const kernel = kernelOf()
    const of = (text: () => string): string => linuxLiveHost({ ...kernel, text }, 'model').bootId()
    expect(() => of(() => 'soon\n')).toThrow('which boot')
    expect(() =>
      of(() => {
        throw new KernelError('EACCES', 'read', '/proc/sys/kernel/random/boot_id')
      }),
    ).toThrow('needs root')
  })
})
