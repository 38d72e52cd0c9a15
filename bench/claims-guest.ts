/**
 * Runs in a guest of the lab: times claims, and the same writes by the least of programs, in turns.
 *
 *     node claims-guest.mjs ROUNDS C-PROGRAM PEERS MEMBER...     prints one JSON object
 *
 * PEERS is a root directory with driverctl and dpdk-devbind.py in it; "-" when there is none.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { ClaimTimes } from './claim-times.ts'

const DEVICES = '/sys/bus/pci/devices'
const DRIVER = 'vfio-pci'
const MEMBER_COUNTS = [1, 32, 64]

const [roundsText = '', writer = '', peers = '', ...members] = process.argv.slice(2)
const rounds = Number(roundsText)
let states = 0

/** A directory of its own for each claim: the limit for repeated claims is not what is measured. */
function freshState(): string {
  states += 1
  const directory = `/tmp/state-${String(states)}`
  mkdirSync(directory, { mode: 0o700 })
  return directory
}

/** Runs a program to its end. @returns milliseconds */
function timed(command: string, args: readonly string[]): number {
  const started = performance.now()
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  const took = performance.now() - started
  if (status === 0) return took
  const said = error?.message ?? `${stdout}${stderr}`
  throw new Error(`${command} ${args.join(' ')}: ${String(status)} ${said}`)
}

function driverOf(address: string): string | null {
  const link = `${DEVICES}/${address}/driver`
  return existsSync(link) ? basename(readlinkSync(link)) : null
}

function expectDrivers(who: string, addresses: readonly string[], wanted: string): void {
  const wrong = addresses.filter((address) => driverOf(address) !== wanted)
  if (wrong.length > 0) throw new Error(`${who} left ${wrong.join(' ')} not on ${wanted}`)
}

/** Writes one list for the C program: lines of path and text. */
function listFile(name: string, writes: readonly (readonly [string, string])[]): string {
  const file = `/tmp/${name}`
  writeFileSync(file, writes.map(([path, text]) => `${path}\t${text}\n`).join(''))
  return file
}

interface PlanAnswer {
  readonly steps: readonly {
    readonly writes: readonly { readonly path: string; readonly text: string }[]
  }[]
}

function plannedWrites(targets: readonly string[]): readonly (readonly [string, string])[] {
  const args = ['plan', ...targets, '--json', '--state', freshState()]
  const { stdout, stderr } = spawnSync('isogroup', args, { encoding: 'utf8' })
  if (stdout === '') throw new Error(stderr)
  const { steps } = JSON.parse(stdout) as PlanAnswer
  return steps.flatMap(({ writes }) =>
    writes.map(({ path, text }) => [path, text.replace(/\n$/, '')] as const),
  )
}

/** Back to the drivers of before, and no override. */
function undoWrites(
  homes: ReadonlyMap<string, string | null>,
): readonly (readonly [string, string])[] {
  return [...homes].flatMap(([address, home]) => {
    const override = `${DEVICES}/${address}/driver_override`
    const back: (readonly [string, string])[] = [[`/sys/bus/pci/drivers/${DRIVER}/unbind`, address]]
    if (home !== null) {
      back.push([override, home], ['/sys/bus/pci/drivers_probe', address])
    }
    return [...back, [override, '']]
  })
}

function claim(targets: readonly string[]): number {
  const state = freshState()
  const took = timed('isogroup', ['claim', ...targets, '--yes', '--state', state])
  expectDrivers('isogroup', targets, DRIVER)
  const { stdout } = spawnSync('isogroup', ['claims', '--json', '--state', state], {
    encoding: 'utf8',
  })
  const { claims } = JSON.parse(stdout) as { readonly claims: readonly { readonly id: string }[] }
  for (const { id } of claims) timed('isogroup', ['release', id, '--state', state])
  return took
}

function inPeers(...words: readonly string[]): number {
  return timed('chroot', [peers, ...words])
}

function measureFour(): ClaimTimes['four'] {
  const homes = new Map(members.map((address) => [address, driverOf(address)]))
  const there = listFile('claim', plannedWrites(members.slice(0, 1)))
  const back = listFile('release', undoWrites(homes))
  const times = { isogroup: [], writes: [], node: [], driverctl: [], devbind: [] } as Record<
    keyof ClaimTimes['four'],
    number[]
  >
  const undo = (who: string): void => {
    expectDrivers(who, members, DRIVER)
    timed(writer, [back])
  }
  // The first of each is not counted.
  for (let round = 0; round <= rounds; round += 1) {
    const add = (name: keyof typeof times, took: number): void => {
      if (round > 0) times[name].push(took)
    }
    add('isogroup', claim(members.slice(0, 1)))
    add('node', timed(process.execPath, ['-e', '0']))
    add('writes', timed(writer, [there]))
    undo('writes')
    if (peers === '-') continue
    const each = members.map((address) =>
      inPeers('/usr/sbin/driverctl', '--nosave', 'set-override', address, DRIVER),
    )
    add(
      'driverctl',
      each.reduce((sum, one) => sum + one, 0),
    )
    undo('driverctl')
    add('devbind', inPeers('/usr/bin/dpdk-devbind.py', '-b', DRIVER, ...members))
    undo('dpdk-devbind.py')
  }
  return times
}

/** Virtual functions, each a group of its own, in one transaction. */
function measureMany(): ClaimTimes['many'] {
  const physical = readdirSync(DEVICES).find((address) =>
    existsSync(`${DEVICES}/${address}/sriov_totalvfs`),
  )
  if (physical === undefined) throw new Error('there is no function with virtual functions')
  writeFileSync(`${DEVICES}/${physical}/sriov_numvfs`, '64')
  const virtual = readdirSync(DEVICES)
    .filter((address) => existsSync(`${DEVICES}/${address}/physfn`))
    .sort()
  return MEMBER_COUNTS.map((count) => {
    const runs = Array.from({ length: rounds }, () => claim(virtual.slice(0, count)))
    return { members: count, runs }
  })
}

const four = measureFour()
process.stdout.write(JSON.stringify({ four, many: measureMany() } satisfies ClaimTimes))
