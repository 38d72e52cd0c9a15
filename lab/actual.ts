/**
 * The kernel's own truth about a guest: every PCI function, its group, its driver. Taken by a shell
 * script that only follows links, so that it shares nothing with the program under test.
 */
export type ActualDevice = {
  readonly address: string
  /** Group number as the kernel names it; nothing when the function has no group. */
  readonly group: string | undefined
  readonly driver: string | undefined
}

/** One line a function: address, group or -, driver or -. */
export const actualScript: string = `
cd /sys/bus/pci/devices
for device in *; do
  group=$(readlink "$device/iommu_group")
  driver=$(readlink "$device/driver")
  group=\${group##*/}
  driver=\${driver##*/}
  echo "$device \${group:--} \${driver:--}"
done
`

/** Loads the drivers a machine with all its devices would have loaded by itself. */
export const loadDriversScript: string = `
for alias in /sys/bus/pci/devices/*/modalias; do
  cat "$alias"
done | sort -u | xargs modprobe -a 2>/dev/null
exit 0
`

/** Makes every virtual function that a device offers; the drivers must be loaded. */
export const createVirtualFunctionsScript: string = `
failed=0
for total in /sys/bus/pci/devices/*/sriov_totalvfs; do
  [ -e "$total" ] || continue
  echo "$(cat "$total")" >"\${total%totalvfs}numvfs" || failed=1
done
exit $failed
`

export function parseActual(printed: string): readonly ActualDevice[] {
  return printed
    .trim()
    .split('\n')
    .map((line) => {
      const [address, group, driver, ...rest] = line.split(' ')
      if (address === undefined || group === undefined || driver === undefined || rest.length > 0) {
        throw new Error(`not a line of the kernel's truth: "${line}"`)
      }
      return { address, group: dashless(group), driver: dashless(driver) }
    })
}

function dashless(word: string): string | undefined {
  return word === '-' ? undefined : word
}
