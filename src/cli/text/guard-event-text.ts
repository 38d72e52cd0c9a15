/**
 * What the guard says, a line or two for each event.
 *
 *     3f9c1a07  group 13  newcomer 0000:02:03.0 (8086:100e 1af4:1100 020000): e1000 was faster
 *     3f9c1a07  group 13  done: unbind 0000:02:03.0 from e1000
 *     3f9c1a07  group 13  watched: nobody has it open; what strays is put back, at the latest after 5 s
 */
import type { Protection } from '../../isolation/ownership/protection.ts'
import type { GroupEvent, GuardEvent } from '../../service/guard-event.ts'
import { type Screen, hanging, type Style } from '../screen.ts'

/** @param every seconds between two looks when nothing was heard */
export function guardEventLines(
  event: GuardEvent,
  every: number,
  screen: Screen,
): readonly string[] {
  if (event.kind === 'lost') {
    return ['the kernel had more events than there was room for: everything is looked at again']
  }
  if (event.kind === 'trouble') return hanging(`${alarm(screen)}  `, event.what, screen.width)
  if (event.kind === 'unconfirmed') return unconfirmedLines(event, screen)
  const group = event.group === null ? 'no group' : `group ${event.group}`
  const prefix = `${screen.paint('bold', event.claim)}  ${group}  `
  const [first = '', ...more] = groupLines(event, every, screen)
  return [
    ...hanging(prefix, first, screen.width),
    ...more.flatMap((line) => hanging('    ', line, screen.width)),
  ]
}

function groupLines(event: GroupEvent, every: number, screen: Screen): readonly string[] {
  switch (event.kind) {
    case 'protection':
      return [protectionText(event.protection, every, screen)]
    case 'newcomer': {
      const { address, ids, driver } = event
      const won =
        driver === null ? 'no driver had taken it' : `${driver} was faster and has to let go`
      return [`newcomer ${address} (${ids}): ${won}`]
    }
    case 'repair':
      return [`done: ${event.step}`]
    case 'alarm':
      return [`${alarm(screen)}: not whole`, ...event.why]
    case 'well':
      return ['whole again']
  }
}

function alarm(screen: Screen): string {
  return screen.paint('red', 'ALARM')
}

const STYLE: Readonly<Record<Protection, Style>> = {
  sealed: 'green',
  watched: 'yellow',
  broken: 'red',
}

function protectionText(protection: Protection, every: number, screen: Screen): string {
  const meaning: Readonly<Record<Protection, string>> = {
    sealed: 'a user has it open, and the kernel keeps every driver of its own out',
    watched: `nobody has it open; what strays is put back at once, at the latest after ${String(every)} s`,
    broken: 'a device is not where the claim put it',
  }
  return `${screen.paint(STYLE[protection], protection)}: ${meaning[protection]}`
}

function unconfirmedLines(
  { claim, left }: Extract<GuardEvent, { kind: 'unconfirmed' }>,
  screen: Screen,
): readonly string[] {
  const end = left.length === 0 ? 'undone' : 'could not be undone completely'
  return [
    `${screen.paint('bold', claim)}  nobody confirmed it in time: ${end}`,
    ...left.flatMap((line) => hanging('    ', line, screen.width)),
  ]
}
