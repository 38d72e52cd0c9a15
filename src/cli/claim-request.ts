/** From the words of `plan` and `claim` to a request: checked, names resolved, nothing decided. */
import { IsogroupError } from '../base/errors.ts'
import type { HostSnapshot } from '../isolation/host.ts'
import type { LiveHost } from '../isolation/live-host.ts'
import type { ClaimRequest } from '../isolation/plan/request.ts'
import { SAFETY_FINDINGS, safetyCode } from '../isolation/plan/safety-codes.ts'
import { groupTargets } from './group-target.ts'
import type { CommandOptions } from './invocation.ts'
import { nearest } from './nearest.ts'
import { printable, several, single, wholeNumber } from './option-values.ts'
import { parseOwner } from './owner.ts'

const DRIVER = 'vfio-pci'

/** What can be the name of a driver: it becomes a path and the content of a file. */
const DRIVER_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/

/** A week: longer is no dead man's handle any more. */
const CONFIRM_SECONDS_MAX = 7 * 24 * 3600

/** @throws IsogroupError usage, not-found, ambiguous */
export function claimRequest(
  targets: readonly string[],
  options: CommandOptions,
  host: LiveHost,
  snapshot: HostSnapshot,
): ClaimRequest {
  const driver = single(options, 'driver', '--driver') ?? DRIVER
  if (!DRIVER_NAME.test(driver)) {
    throw new IsogroupError(
      'usage',
      `--driver ${printable(driver)} is no name of a driver`,
      `most claims want ${DRIVER}, which is the default`,
    )
  }
  const owner = single(options, 'owner', '--owner')
  const confirm = single(options, 'confirm', '--confirm')
  const reason = single(options, 'reason', '--reason')
  return {
    allow: several(options, 'allow', '--allow').map(knownCode),
    confirmSeconds:
      confirm === null
        ? null
        : wholeNumber(confirm, '--confirm', { min: 1, max: CONFIRM_SECONDS_MAX, unit: 'seconds' }),
    owner: owner === null ? null : parseOwner(owner, host),
    targets: groupTargets(targets, host, snapshot),
    driver,
    reason,
  }
}

function knownCode(text: string): string {
  const code = safetyCode(text)
  if (code !== null) return code
  const codes = Object.entries(SAFETY_FINDINGS)
    .filter(([, { overridable }]) => overridable)
    .map(([name]) => name)
  const near = nearest(text.toUpperCase(), codes)
  throw new IsogroupError(
    'usage',
    `--allow ${printable(text)} is no code of a finding`,
    near.length === 0
      ? '`isogroup plan TARGET` prints the code below each finding'
      : `nearest: ${near.join(', ')}`,
  )
}
