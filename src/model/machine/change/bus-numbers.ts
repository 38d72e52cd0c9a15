/**
 * Bus numbers after a change, as firmware gives them: depth first, each bridge the next free number.
 *
 * Firmware of real machines leaves gaps for hot-plug. A machine that was numbered without gaps is
 * numbered so again; in any other, numbers stay where they are as long as what is new finds a free
 * number in the window of the bridge above it, so that people recognise their devices.
 */
import type { Branch, Root } from './branch.ts'
import { Refusal } from './refusal.ts'

const BUS_MAX = 255

/** Gives every bridge below the roots a secondary and a subordinate number. @throws Refusal ENOSPC */
export function numberBuses(roots: readonly Root[]): void {
  for (const root of roots) {
    const above = roots.filter((other) => other.domain === root.domain && other.bus > root.bus)
    const last = Math.min(BUS_MAX, ...above.map((other) => other.bus - 1))
    if (root.wasGapless || !fitsWindows(root, last)) numberDepthFirst(root, last)
  }
}

/** Order in which a bus is scanned. */
export function byPlace(a: Branch, b: Branch): number {
  return a.device - b.device || a.function - b.function
}

/** Whether the numbers of a root are those of a depth-first walk without gaps. */
export function isGapless(root: Root): boolean {
  let next = root.bus + 1
  const visit = (children: readonly Branch[]): boolean =>
    [...children].sort(byPlace).every((branch) => {
      if (branch.secondary === null) return true
      if (branch.secondary !== next) return false
      next += 1
      return visit(branch.children) && branch.subordinate === next - 1
    })
  return visit(root.children)
}

function numberDepthFirst(root: Root, last: number): void {
  let next = root.bus + 1
  const visit = (children: readonly Branch[]): void => {
    for (const branch of [...children].sort(byPlace)) {
      if (!branch.isBridge) continue
      if (next > last) {
        const why = `no bus number is left for ${branch.name}: they end at ${last.toString(16)}`
        throw new Refusal('ENOSPC', why, 'remove a bridge of the same root bus before this change')
      }
      branch.secondary = next
      next += 1
      visit(branch.children)
      branch.subordinate = next - 1
    }
  }
  visit(root.children)
}

/** Numbers what is new from free numbers in the windows above it. @returns false when one has none */
function fitsWindows(root: Root, end: number): boolean {
  const visit = (children: readonly Branch[], first: number, last: number): boolean => {
    const bridges = [...children].sort(byPlace).filter((branch) => branch.isBridge)
    const settled = bridges.filter((branch) => branch.secondary !== null)
    let next = first
    for (const branch of settled) next = Math.max(next, (branch.subordinate ?? 0) + 1)
    for (const branch of bridges) {
      if (branch.secondary === null) {
        const buses = countBridges(branch)
        if (next + buses - 1 > last) return false
        branch.secondary = next
        branch.subordinate = next + buses - 1
        next += buses
      }
      if (!visit(branch.children, branch.secondary + 1, branch.subordinate ?? 0)) return false
    }
    return true
  }
  return visit(root.children, root.bus + 1, end)
}

/** Buses that a subtree needs: one for every bridge in it, itself included. */
function countBridges(branch: Branch): number {
  return branch.children.reduce((sum, child) => sum + countBridges(child), Number(branch.isBridge))
}
