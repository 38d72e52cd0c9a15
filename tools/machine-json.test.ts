import { describe, expect, it } from 'vitest'
import { known } from '../src/base/fact.ts'
import { parseLspci } from '../src/lspci/parse-lspci.ts'
import { VERBOSE } from '../src/lspci/sample.case.ts'
import { parseMachine } from '../src/open/machine-file.ts'
import { machineJson } from './machine-json.ts'

describe('machineJson', () => {
  it('writes what parseMachine reads back', () => {
    const host = parseLspci(VERBOSE, { label: 'x' })
    const groups = new Map(
      host.functions.map((fn) => [fn.address, (fn.group.known && fn.group.value) || '0']),
    )
    const source = { name: 'n', category: 'c', kernel: '6.1', messageIds: [], note: '', groups }
    const read = parseMachine(JSON.parse(machineJson(host, source)))
    expect(read.snapshot.kernelRelease.known).toBe(false)
    expect(read.snapshot.functions).toHaveLength(host.functions.length)
    read.snapshot.functions.forEach((fn, i) => {
      const { acs, ...config } = fn.config
      expect(host.functions[i]).toMatchObject({ ...fn, config, resetMethods: { known: false } })
      if (acs.known && acs.value !== null) {
        expect(host.functions[i]?.config.acs).toMatchObject(known({ bits: acs.value.bits }))
      } else expect(host.functions[i]?.config.acs).toEqual(acs)
    })
  })
})
