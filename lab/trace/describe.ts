/** Steps and differences in words, for people who have to understand one. */
import type { Argument, Operation, StepRecord } from './operation.ts'
import type { Difference } from './replay.ts'

const TEXT_SHOWN = 60
const VALUE_SHOWN = 1_000

export function describeStep({ step, operation, outcome }: StepRecord): string {
  const { value, error, hex } = outcome
  const buffer = hex === undefined ? '' : ` ${hex}`
  const result = error ?? (value === undefined ? 'ok' : JSON.stringify(value))
  return `${step}. ${describeOperation(operation)} -> ${result}${buffer}`
}

export function describeDifference({ real, model }: Difference): string {
  return `real:  ${shown(real)}\nmodel: ${shown(model)}`
}

function shown(value: unknown): string {
  if (value === undefined) return 'no change'
  if (Array.isArray(value)) {
    if (value.length === 0) return 'none'
    return value.map((one) => `\n  ${JSON.stringify(one)}`).join('')
  }
  return JSON.stringify(value).slice(0, VALUE_SHOWN)
}

function describeOperation(operation: Operation): string {
  switch (operation.kind) {
    case 'write':
    case 'blocked-write': {
      const { text, path } = operation
      const value = text.length > TEXT_SHOWN ? `${text.length} bytes` : JSON.stringify(text)
      return `${operation.kind} ${value} to ${path}`
    }
    case 'read':
      return `read ${operation.path}`
    case 'open':
      return `open ${operation.path} as ${operation.slot.join(' ')}`
    case 'open-device':
      return `${operation.group.join(' ')} opens ${operation.name} as ${operation.slot.join(' ')}`
    case 'ioctl': {
      const request = `0x${operation.request.toString(16)}`
      return `ioctl ${request} on ${operation.on.join(' ')}: ${describeArgument(operation.argument)}`
    }
    case 'close':
      return `close ${operation.slot.join(' ')}`
    case 'take':
      return `take event counter ${operation.counter}`
    case 'plug':
    case 'unplug':
      return `${operation.kind} the ${operation.newcomer}`
  }
}

function describeArgument(argument: Argument): string {
  if ('number' in argument) return String(argument.number)
  const patches = argument.patches.map((patch) => {
    switch (patch.put) {
      case 'address':
        return `memory+0x${patch.offset.toString(16)} at ${patch.at}`
      case 'descriptor':
        return `${patch.of.join(' ')} at ${patch.at}`
      case 'counter':
        return `event counter ${patch.index} at ${patch.at}`
    }
  })
  return [argument.hex, ...patches].join(', ')
}
