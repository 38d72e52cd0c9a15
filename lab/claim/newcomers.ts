/**
 * What became of newcomers, out of the kernel's own events: was the guard faster than the kernel's driver,
 * and for how long was the group not whole? Pure: text in, lines out.
 */

/** A newcomer that was plugged in, in order. */
export type Plug = {
  readonly kind: 'claimed' | 'opened' | 'unclaimed'
  readonly address: string
  /** The kernel's driver for it. */
  readonly home: string
  /** Whether a guard ran when it came. */
  readonly guarded: boolean
}

export type PciEvent = {
  readonly microseconds: number
  readonly action: string
  readonly address: string
  readonly driver: string
}

/** Lines as listen.ts writes them; others are left out. */
export function readEvents(text: string): readonly PciEvent[] {
  return text.split('\n').flatMap((line) => {
    const [time = '', action, address, driver, ...rest] = line.split(' ')
    if (action === undefined || address === undefined || driver === undefined) return []
    if (rest.length > 0 || !/^\d+$/.test(time)) return []
    return [{ microseconds: Number(time), action, address, driver }]
  })
}

export type Fate = {
  readonly plug: Plug
  /** The kernel's driver never had it. */
  readonly won: boolean
  /** From the news of the newcomer until it was on the claim's driver, in milliseconds. */
  readonly wholeAfter: number
}

/** What became of the newcomers in claimed groups; one that was never made part of it is not there. */
export function fatesOf(plugs: readonly Plug[], events: readonly PciEvent[]): readonly Fate[] {
  const fates: Fate[] = []
  let from = 0
  for (const plug of plugs) {
    const added = events.findIndex((event, index) => {
      return index >= from && event.action === 'add' && event.address === plug.address
    })
    if (added < 0) continue
    const gone = events.findIndex((event, index) => {
      return index > added && event.action === 'remove' && event.address === plug.address
    })
    const own = events
      .slice(added, gone < 0 ? undefined : gone)
      .filter(({ address }) => address === plug.address)
    from = added + 1
    const whole = own.find(({ action, driver }) => action === 'bind' && driver === 'vfio-pci')
    if (plug.kind === 'unclaimed' || whole === undefined) continue
    const won = !own.some(({ action, driver }) => action === 'bind' && driver === plug.home)
    const started = own[0]?.microseconds ?? whole.microseconds
    fates.push({ plug, won, wholeAfter: (whole.microseconds - started) / 1_000 })
  }
  return fates
}

/** The figures for a person, a line for each kind of group. */
export function summarize(plugs: readonly Plug[], events: readonly PciEvent[]): readonly string[] {
  const fates = fatesOf(plugs, events).filter(({ plug }) => plug.guarded)
  const lines = (['claimed', 'opened'] as const).map((kind) => {
    const own = fates.filter(({ plug }) => plug.kind === kind)
    const total = plugs.filter((plug) => plug.kind === kind && plug.guarded).length
    const won = own.filter((fate) => fate.won).length
    const times = own.map(({ wholeAfter }) => wholeAfter).sort((a, b) => a - b)
    const median = times[times.length >> 1]?.toFixed(0) ?? '-'
    const worst = times.at(-1)?.toFixed(0) ?? '-'
    return (
      `${kind}: ${total} newcomers, driver kept off ${won}, ` +
      `whole again after ${median} ms (median), ${worst} ms (worst)`
    )
  })
  const left = plugs.filter(({ kind }) => kind === 'unclaimed').length
  const unguarded = plugs.filter(({ guarded }) => !guarded).length
  return [...lines, `unclaimed: ${left} newcomers; ${unguarded} came while no guard ran`]
}
