/**
 * The program is killed between any two of its effects, on a claim of four members and on its release;
 * after `recover` the group is as it was or wholly claimed, and never between.
 *
 * The standing suite kills one direction on each kernel, at a few places; `--crash N` kills in both, at
 * every place, and N times more at random moments.
 */
import { settleScript } from '../claim/conversation.ts'
import { claimMachine, four } from '../claim/machine.ts'
import { buildClaimPrograms, hookProgram } from '../claim/programs.ts'
import { compareStates, driverIn, readState } from '../claim/state.ts'
import type { Guest } from '../guest.ts'
import { kernelSeriesAll } from '../kernels.ts'
import { Random } from '../random.ts'
import type { CaseWorld, LabCase, LabFinding } from './case.ts'

const STANDING_SEED = 1
/** So many, evenly over the run: each takes the time of four programs. */
const STANDING_KILLS = 4

type Direction = 'claim' | 'release'

const commands: Readonly<Record<Direction, string>> = {
  claim: `isogroup claim ${four[0]} --yes`,
  release: `isogroup release ${four[0]}`,
}
const opposite: Readonly<Record<Direction, Direction>> = { claim: 'release', release: 'claim' }

/** @param more kills at random moments; undefined = the standing suite */
export function claimCrashCases(more?: number, seed: number = STANDING_SEED): readonly LabCase[] {
  return kernelSeriesAll.map((kernel, index) => {
    const name = `claim-crash-${kernel}`
    const directions: readonly Direction[] =
      more === undefined ? [index % 2 === 0 ? 'claim' : 'release'] : ['claim', 'release']
    return {
      name,
      kernel,
      machine: { ...claimMachine, name },
      replay: `--only ${name}${more === undefined ? '' : ` --crash ${more} --seed ${seed}`}`,
      prepare: buildClaimPrograms,
      run: (world) => runCrashes(world, directions, more, seed),
    }
  })
}

async function runCrashes(
  world: CaseWorld,
  directions: readonly Direction[],
  more: number | undefined,
  seed: number,
): Promise<readonly LabFinding[]> {
  const { guest } = world
  await guest.run({ run: settleScript })
  const crash = new Crash(world, await readState(guest))
  for (const direction of directions) {
    const effects = await crash.countEffects(direction)
    const every = more === undefined ? Math.ceil(effects.length / STANDING_KILLS) : 1
    for (let point = 1; point <= effects.length; point += every)
      await crash.killAt(direction, point)
    if (more === undefined) continue
    const random = new Random(seed)
    for (let n = 0; n < more; n += 1) await crash.killAfter(direction, random.between(0, 2_500))
  }
  world.say(crash.summary())
  return crash.findings
}

class Crash {
  readonly findings: LabFinding[] = []
  readonly #world: CaseWorld
  readonly #home: string
  #isClaimed = false
  #killed = 0
  #tooLate = 0
  readonly #ended = { before: 0, claimed: 0 }

  constructor(world: CaseWorld, home: string) {
    this.#world = world
    this.#home = home
  }

  /** Names of all effects of an undisturbed run; the group is at the beginning again afterwards. */
  async countEffects(direction: Direction): Promise<readonly string[]> {
    const { guest, keepEvidence } = this.#world
    await this.#bring(direction)
    const log = `/tmp/effects-${direction}`
    await run(guest, `LAB_EFFECTS=${log} ${hooked(direction)}`)
    this.#isClaimed = direction === 'claim'
    const { stdout } = await guest.run({ run: `cat ${log}` })
    keepEvidence(`effects-${direction}.txt`, stdout)
    const lines = stdout.toString('utf8').trim().split('\n')
    return lines.map((line) => line.slice(line.indexOf(' ') + 1))
  }

  async killAt(direction: Direction, point: number): Promise<void> {
    const command = `LAB_KILL_AT=${point} ${hooked(direction)}`
    await this.#kill(direction, `${direction} killed at effect ${point}`, command)
  }

  async killAfter(direction: Direction, milliseconds: number): Promise<void> {
    const command = `${commands[direction]} &
isogroup=$!
usleep ${milliseconds * 1_000}
kill -9 $isogroup
wait $isogroup`
    await this.#kill(direction, `${direction} killed after ${milliseconds} ms`, command)
  }

  summary(): string {
    const { before, claimed } = this.#ended
    const late = this.#tooLate === 0 ? '' : `, ${this.#tooLate} too late`
    return `${this.#killed} kills${late}: recovered to before ${before}, to claimed ${claimed}`
  }

  async #kill(direction: Direction, what: string, command: string): Promise<void> {
    const { guest } = this.#world
    await this.#bring(direction)
    const killed = await guest.run({ run: `(${command}) >/tmp/killed 2>&1` })
    this.#killed += 1
    if (killed.code !== 137) this.#tooLate += 1
    const recovered = await guest.run({ run: `isogroup recover >/tmp/recovered 2>&1` })
    const state = await readState(guest)
    this.#isClaimed = four.every((address) => driverIn(state, address) === 'vfio-pci')
    if (this.#isClaimed) this.#ended.claimed += 1
    else {
      this.#ended.before += 1
      this.findings.push(...compareStates(`${what}: as before`, this.#home, state))
    }
    if (recovered.code === 0) return
    const { stdout } = await guest.run({ run: 'cat /tmp/killed /tmp/recovered' })
    const detail = `exit code ${recovered.code}\n${stdout.toString('utf8')}`
    this.findings.push({ check: `${what}: recover`, detail })
  }

  /** Makes sure that the group is where the command begins, and that everything else is as before. */
  async #bring(direction: Direction): Promise<void> {
    if (this.#isClaimed === (direction === 'release')) return
    const { guest } = this.#world
    await run(guest, commands[opposite[direction]])
    this.#isClaimed = direction === 'release'
    if (this.#isClaimed) return
    const what = 'released after a recovery'
    this.findings.push(...compareStates(what, this.#home, await readState(guest)))
  }
}

function hooked(direction: Direction): string {
  return `NODE_OPTIONS=--import=${hookProgram} ${commands[direction]}`
}

async function run(guest: Guest, script: string): Promise<void> {
  const { code, stdout, stderr } = await guest.run({ run: script })
  if (code !== 0) throw new Error(`${script}: ${code}\n${stdout.toString('utf8')}${stderr}`)
}
