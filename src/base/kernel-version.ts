/** Kernel versions, for rules that changed: "6.12.117+deb12-amd64" is 6.12. */
export interface KernelVersion {
  readonly major: number
  readonly minor: number
}

/** The version whose behaviour is taken where a host does not tell its own: the newest one checked. */
export const NEWEST_CHECKED: KernelVersion = { major: 6, minor: 12 }

/** Parses "6.12", "6.1.0-38-amd64", "v5.19-rc3"; null when there is no version at the start. */
export function parseKernelVersion(text: string): KernelVersion | null {
  const match = /^v?(\d{1,3})\.(\d{1,3})(?!\d)/.exec(text.trim())
  if (match === null) return null
  return { major: Number(match[1]), minor: Number(match[2]) }
}

export function formatKernelVersion(version: KernelVersion): string {
  return `${String(version.major)}.${String(version.minor)}`
}

export function atLeast(version: KernelVersion, major: number, minor: number): boolean {
  return version.major > major || (version.major === major && version.minor >= minor)
}
