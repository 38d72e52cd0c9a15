/**
 * The visible state of every PCI function of a guest, as text that two moments must share to the byte.
 *
 * Taken by a shell script that shares nothing with the program under test. Times of device nodes are left
 * out: a node that went and came again is a new one.
 */
import type { Guest } from '../guest.ts'
import type { LabFinding } from '../cases/case.ts'

/** Files of a function; those it does not have are left out. */
const files = [
  ...['driver_override', 'sriov_numvfs', 'sriov_drivers_autoprobe', 'enable', 'reset_method'],
  ...['power/control', 'power/runtime_status'],
]

/** Reads with the shell's own means: a process for every file would take seconds. */
const stateScript: string = `
cd /sys/bus/pci/devices
for device in *; do
  for file in ${files.join(' ')}; do
    [ -e "$device/$file" ] || continue
    value=
    read -r value <"$device/$file"
    echo "$device $file $value"
  done
done
ls -l */driver */iommu_group | awk '{ print $(NF - 2), $NF }'
[ ! -e /dev/vfio ] || ls -ln /dev/vfio | awk '{ print "/dev/vfio", $1, $3, $4, $NF }'
`

export async function readState(guest: Guest): Promise<string> {
  const { stdout } = await guest.run({ run: stateScript })
  return stdout.toString('utf8')
}

/** Every line that only one of two states has. */
export function compareStates(check: string, before: string, after: string): readonly LabFinding[] {
  if (before === after) return []
  const had = new Set(before.split('\n'))
  const has = new Set(after.split('\n'))
  const lines = [
    ...[...had].filter((line) => !has.has(line)).map((line) => `before: ${line}`),
    ...[...has].filter((line) => !had.has(line)).map((line) => `after:  ${line}`),
  ]
  return [{ check, detail: lines.join('\n') || 'the same lines in another order' }]
}

/** Driver of a function, as the state tells; nothing when it has none. */
export function driverIn(state: string, address: string): string | undefined {
  const line = state.split('\n').find((one) => one.startsWith(`${address}/driver `))
  return line?.split('/').at(-1)
}
