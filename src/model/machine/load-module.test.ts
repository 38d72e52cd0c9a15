import { describe, expect, it } from 'vitest'
import { bootModel } from '../model.ts'
import { type ModelKernel, modelKernel } from '../model-kernel.ts'
import { bootedMachine, CARD } from './booted-machine.case.ts'
import { HandClock } from './vfio-user.case.ts'

/** The machine with these drivers loaded alone. */
function machineWith(...loaded: readonly string[]): ModelKernel {
  const machine = { ...bootedMachine().machine, loaded }
  return modelKernel(bootModel(machine), { clock: new HandClock() })
}

const code = (loading: Promise<void>): Promise<unknown> =>
  loading.then(
    () => 'done',
    (cause: unknown) => (cause as { code?: string }).code,
  )

describe('loading a module', () => {
  it('brings its driver, which takes the functions that nobody has', async () => {
    const kernel = machineWith('pcieport')
    const driver = `/sys/bus/pci/devices/${CARD}/driver`
    expect(kernel.exists(driver)).toBe(false)
    expect(kernel.exists('/sys/module/e1000e')).toBe(false)
    await kernel.loadModule('e1000e', 1000)
    expect(kernel.link(driver)).toMatch(/e1000e$/)
    expect(kernel.text('/sys/module/e1000e/initstate')).toBe('live\n')
  })

  it('takes nothing for vfio-pci that was not meant for it', async () => {
    const kernel = machineWith('pcieport')
    expect(kernel.exists('/sys/bus/pci/drivers/vfio-pci')).toBe(false)
    await kernel.loadModule('vfio-pci', 1000)
    expect(kernel.list('/sys/bus/pci/drivers/vfio-pci')).not.toContain(CARD)
    expect(kernel.exists('/sys/bus/pci/drivers/vfio-pci/bind')).toBe(true)
    await kernel.loadModule('vfio_pci', 1000)
  })

  it('does nothing where the module is loaded or built in', async () => {
    const kernel = machineWith('pcieport', 'e1000e')
    expect(await code(kernel.loadModule('e1000e', 1000))).toBe('done')
    expect(await code(kernel.loadModule('pcieport', 1000))).toBe('done')
    expect(await code(kernel.loadModule('vfio_iommu_type1', 1000))).toBe('done')
  })

  it('refuses what is no module, no name, or not for ordinary users', async () => {
    const kernel = machineWith('pcieport')
    expect(await code(kernel.loadModule('nothing', 1000))).toBe('ENOENT')
    for (const name of ['', '-r', 'a b', '../e1000e', 'a/b', 'a\n', 'x'.repeat(65)]) {
      expect(await code(kernel.loadModule(name, 1000))).toBe('EINVAL')
    }
    const model = bootModel({ ...bootedMachine().machine, loaded: [] })
    const user = modelKernel(model, {
      clock: new HandClock(),
      process: model.createProcess({ name: 'user', uid: 1000 }),
    })
    expect(await code(user.loadModule('e1000e', 1000))).toBe('EPERM')
    expect(await code(user.loadModule('nothing', 1000))).toBe('ENOENT')
  })

  it('lists what could be loaded, as depmod does', () => {
    const list = machineWith('pcieport').text('/lib/modules/6.12.117/modules.dep')
    expect(list).toContain('kernel/drivers/vfio-pci.ko:')
    expect(list).toContain('kernel/drivers/e1000e.ko:')
    expect(list).not.toContain('pcieport')
  })
})

describe('a boot', () => {
  it('has an id of its own only when it is told', () => {
    const { machine } = bootedMachine()
    const idOf = (kernel: ModelKernel): string => kernel.text('/proc/sys/kernel/random/boot_id')
    const bootId = '11111111-2222-4333-8444-555555555555'
    const told = modelKernel(bootModel(machine, { bootId }), { clock: new HandClock() })
    const [one, two] = [machineWith(), machineWith()]
    expect(idOf(told)).toBe(`${bootId}\n`)
    expect(idOf(one)).toBe(idOf(two))
    expect(idOf(one)).toMatch(/^[0-9a-f-]{36}\n$/)
  })
})
