/** Every built-in machine, booted on the model: catalogue machines form the groups written beside them, twins of recorded hosts the groups that their kernels formed. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { comparePrediction } from '../isolation/groups/compare.ts'
import { predictGroups } from '../isolation/groups/predict.ts'
import { rulesFor } from '../isolation/groups/rules.ts'
import { buildTopology } from '../isolation/topology/topology.ts'
import { doctor } from '../isolation/assess/doctor.ts'
import { bootModel, type Model } from '../model/model.ts'
import { buildMachine } from '../model/machine/builder.ts'
import { MACHINE_FORMAT, parseMachine } from './machine-file.ts'
import { MODEL_FORMAT, parseModel } from './model-file.ts'
import { builtInMachine, machineNames, openHost, openKernel } from './open-host.ts'
import { recordedTwin } from './recorded-machine.ts'

function jsonOf(name: string): { readonly format: string } {
  const path = new URL(`../../machines/${name}.json`, import.meta.url)
  return JSON.parse(readFileSync(path, 'utf8')) as { format: string }
}

function namesWith(format: string): readonly string[] {
  return machineNames().filter((name) => jsonOf(name).format === format)
}

/** Ten thousand functions take seconds: they have a test of their own. */
const LARGE = 'singletons-10000'
const CATALOGUE = namesWith(MODEL_FORMAT).filter((name) => name !== LARGE)

function groupsOf(model: Model): readonly string[] {
  return sorted(
    [...model.iommu.groups.values()].map(({ members }) => members.map(({ name }) => name)),
  )
}

function sorted(groups: readonly (readonly string[])[]): readonly string[] {
  return groups.map((group) => [...group].sort().join(' ')).sort()
}

describe('the catalogue of models', () => {
  it('has one machine for each lesson', () => {
    expect(namesWith(MODEL_FORMAT)).toEqual([
      'conventional-bridge',
      'desktop',
      'laptop',
      'no-msi-isolation',
      'power-pe',
      'server-sriov',
      'singletons-10000',
      'switch-without-acs',
      'translation-only',
      'user-drivers',
    ])
  })

  it.each(CATALOGUE)('%s forms the groups that are written beside it', (name) => {
    const { form, expected } = parseModel(jsonOf(name))
    expect(form.name).toBe(name)
    if (expected === 'singletons') throw new Error(`${name} lists its groups`)
    expect(groupsOf(bootModel(buildMachine(form)))).toEqual(sorted(expected))
  })

  it('singletons-10000 has ten thousand functions, each a group of its own', () => {
    const { form, expected } = parseModel(jsonOf(LARGE))
    expect(expected).toBe('singletons')
    const model = bootModel(buildMachine(form))
    expect(model.pci.bus.devices.size).toBe(10_000)
    expect(model.iommu.groups.size).toBe(10_000)
  }, 60_000)

  it.each(CATALOGUE)('%s is predicted as the model groups it', async (name) => {
    const snapshot = (await openHost(`model:${name}`)).snapshot()
    // POWER groups by what firmware says, which no topology shows.
    if (name === 'power-pe') return
    const topology = buildTopology(snapshot)
    const rules = rulesFor(snapshot, null)
    const differences = comparePrediction(predictGroups(topology, snapshot, rules), snapshot, rules)
    expect(differences.filter(({ kind }) => kind !== 'ungrouped')).toEqual([])
  })

  it.each(CATALOGUE)('%s leaves nothing unknown that root knows on a real host', async (name) => {
    const host = await openHost(`model:${name}`)
    const { findings } = doctor(host.snapshot(), host.readiness(), { kernel: null })
    const unknown = findings.filter(({ severity }) => severity === 'unknown')
    // Nor can root tell on POWER, where interrupt chips have other names.
    const codes = unknown
      .map(({ code }) => code)
      .filter((code) => name !== 'power-pe' || code !== 'HOST-INTREMAP')
    expect(codes).toEqual([])
  })

  it('tells a machine without MSI isolation from one with it', async () => {
    const severity = async (name: string): Promise<string | undefined> => {
      const host = await openHost(`model:${name}`)
      const { findings } = doctor(host.snapshot(), host.readiness(), { kernel: null })
      return findings.find(({ code }) => code === 'HOST-INTREMAP')?.severity
    }
    expect(await severity('desktop')).toBe('ok')
    expect(await severity('no-msi-isolation')).toBe('problem')
  })
})

describe('twins of recorded machines', () => {
  it.each(namesWith(MACHINE_FORMAT))(
    '%s: the model forms the groups of the real kernel',
    (name) => {
      const file = parseMachine(jsonOf(name))
      const model = bootModel(recordedTwin(file).machine)
      const listed = file.snapshot.functions.map(({ address }) => address)
      expect([...model.pci.bus.devices.keys()].sort()).toEqual([...listed].sort())
      const real = new Map<string, string[]>()
      for (const address of listed) {
        const id = file.expected.get(address)
        if (id !== undefined) real.set(id, [...(real.get(id) ?? []), address])
      }
      expect(groupsOf(model)).toEqual(sorted([...real.values()]))
    },
  )

  it.each(namesWith(MACHINE_FORMAT))('%s: every function has the driver that it had', (name) => {
    const file = parseMachine(jsonOf(name))
    const model = bootModel(recordedTwin(file).machine)
    const drivers = new Map(
      [...model.pci.bus.devices].map(([address, { driver }]) => [address, driver?.name ?? null]),
    )
    for (const { address, driver } of file.snapshot.functions) {
      if (driver.known) expect([address, drivers.get(address)]).toEqual([address, driver.value])
    }
  })

  it('number groups from the graphics on where the kernel did', async () => {
    const host = await openHost('model:hp-spectre-15-df1')
    const groups = new Map(host.snapshot().functions.map(({ address, group }) => [address, group]))
    const numbers = ['0000:00:02.0', '0000:00:00.0', '0000:01:00.0'].map((at) => groups.get(at))
    expect(numbers).toEqual(['0', '1', '2'].map((value) => ({ known: true, value })))
  })

  it('boot the kernel that formed the groups', async () => {
    expect((await builtInMachine('emerson-r1505g-5.4')).kernelRelease).toBe('5.4.0-47')
    expect((await builtInMachine('crudup-xps13-2022')).kernelRelease).toBe('5.16')
    expect((await builtInMachine('dell-xps13-9360')).kernelRelease).toBe('6.6')
  })
})

describe('openKernel()', () => {
  it('gives the kernel of a model, and none for a name that is not there', async () => {
    const opened = await openKernel('model:desktop')
    expect(opened?.source).toBe('model desktop')
    expect(opened?.kernel.list('/sys/kernel/iommu_groups')).toHaveLength(9)
    await expect(openKernel('model:nowhere')).rejects.toThrow(
      'there is no built-in machine "nowhere"',
    )
  })

  it('calls a model by its name, and says of a twin that it is one', async () => {
    const sourceOf = async (name: string): Promise<string> =>
      (await openHost(`model:${name}`)).snapshot().source
    expect(await sourceOf('laptop')).toBe('model laptop')
    expect(await sourceOf('asus-pn51')).toMatch(/^model asus-pn51 \(\d+ facts assumed\)$/)
  })
})
