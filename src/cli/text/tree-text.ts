/**
 * The PCI tree as text, with the groups as brackets in the margin:
 *
 *      1 -  0000:00:01.0
 *      9 -  └─ 0000:01:00.0
 *      2 ┌  0000:00:02.0
 *        └  └─ 0000:02:00.0
 */
import type { Node, Topology } from '../../isolation/topology/topology.ts'
import type { Screen } from '../screen.ts'
import { type DeviceLayout, labelText } from './device-text.ts'

interface Row {
  /** Lines of the tree in front of the address. */
  readonly branch: string
  /** null: a heading that names a root bus */
  readonly node: Node | null
  readonly heading: string
  readonly group: string | null
}

export function treeLines(
  topology: Topology,
  groupOf: ReadonlyMap<string, string>,
  layout: DeviceLayout,
): readonly string[] {
  const { screen } = layout
  const rows = treeRows(topology, groupOf, screen)
  let idWidth = 1
  for (const { group } of rows) idWidth = Math.max(idWidth, group?.length ?? 0)
  return rows.map((row, index) => {
    const same = (other: Row | undefined): boolean =>
      row.group !== null && other?.group === row.group
    const above = same(rows[index - 1])
    const below = same(rows[index + 1])
    const id = above ? '' : (row.group ?? '')
    const mark =
      row.group === null ? ' ' : BRACKETS[screen.unicode ? 'unicode' : 'ascii'](above, below)
    const margin = `${id.padStart(idWidth)} ${mark} `
    return `${screen.paint('cyan', margin)}${rowText(row, margin.length, layout)}`.trimEnd()
  })
}

const BRACKETS = {
  unicode: (above: boolean, below: boolean): string =>
    above ? (below ? '│' : '└') : below ? '┌' : '─',
  ascii: (above: boolean, below: boolean): string =>
    above ? (below ? '|' : "'") : below ? '.' : '-',
} as const

function rowText(row: Row, margin: number, layout: DeviceLayout): string {
  const { branch, node, heading } = row
  const { screen } = layout
  if (node === null) return screen.paint('bold', heading)
  const head = `${branch}${node.address}  `
  const label = labelText(node.fn, layout, margin + head.length)
  return `${screen.paint('dim', branch)}${node.address}  ${label}`
}

function treeRows(
  topology: Topology,
  groupOf: ReadonlyMap<string, string>,
  screen: Screen,
): readonly Row[] {
  const rows: Row[] = []
  const [corner, tee, line] = screen.unicode ? ['└─ ', '├─ ', '│  '] : ['`- ', '|- ', '|  ']
  function add(nodes: readonly Node[], before: string, isTop: boolean): void {
    nodes.forEach((node, index) => {
      const isLast = index === nodes.length - 1
      const branch = isTop ? '' : before + (isLast ? corner : tee)
      rows.push({ branch, node, heading: '', group: groupOf.get(node.address) ?? null })
      add(node.children, isTop ? '' : before + (isLast ? '   ' : line), false)
    })
  }
  for (const bus of topology.buses.values()) {
    const top = bus.nodes.filter((node) => node.parent === null)
    if (top.length === 0) continue
    const host = bus.host === null ? '' : `, behind ${bus.host.address}`
    rows.push({ branch: '', node: null, heading: `bus ${bus.name}${host}`, group: null })
    add(top, '', true)
  }
  return rows
}
