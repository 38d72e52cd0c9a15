/** /sys/firmware/acpi/tables: which tables the firmware brought (drivers/acpi/sysfs.c). */
import { type Directory, directory } from '../sysfs/node.ts'

/** Content is for root, and no program of ours reads it: only the names tell something. */
const TABLE_MODE = 0o400

/** @param tables signatures: "DMAR" */
export function firmwareDirectory(tables: readonly string[]): Directory {
  const files = Object.fromEntries(
    tables.map((name) => [name, () => ({ kind: 'file', mode: TABLE_MODE }) as const]),
  )
  // A machine without ACPI (POWER) has no acpi directory at all.
  if (tables.length === 0) return directory({})
  return directory({ acpi: () => directory({ tables: () => directory(files) }) })
}
