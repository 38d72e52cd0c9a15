/**
 * Makes a machine file from the lspci text of a real machine and the groups that its kernel formed:
 *
 *     node tools/task.mjs tools/import-machine.ts TEXT GROUPS > machines/NAME.json
 *
 * GROUPS is {"name", "category", "kernel", "note", "messageId": [], "groups": {"0000:00:1f.0": 7}}.
 * Only facts go into the machine file, not the text. Names without numbers are looked up in pci.ids.
 */
import { existsSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { withKnownNames } from '../src/lspci/known-names.ts'
import { parseLspci } from '../src/lspci/parse-lspci.ts'
import { parseMachine } from '../src/open/machine-file.ts'
import { nameIndex, PCI_IDS_PATHS } from '../src/pci/pci-ids.ts'
import { type MachineSource, machineJson } from './machine-json.ts'

interface GroupsFile {
  readonly name: string
  readonly category: string
  readonly kernel: string
  readonly note: string
  readonly messageId: readonly string[]
  readonly groups: Readonly<Record<string, number>>
}

const [textPath, groupsPath] = process.argv.slice(2)
if (textPath === undefined || groupsPath === undefined) {
  process.stderr.write('usage: import-machine TEXT GROUPS > machines/NAME.json\n')
  process.exit(2)
}
const idsPath = PCI_IDS_PATHS.find((path) => existsSync(path))
const names = withKnownNames(
  idsPath === undefined ? null : nameIndex(readFileSync(idsPath, 'utf8')),
)
const told = JSON.parse(readFileSync(groupsPath, 'utf8')) as GroupsFile
const source: MachineSource = {
  name: told.name,
  category: told.category,
  kernel: told.kernel,
  note: told.note,
  messageIds: told.messageId,
  groups: new Map(Object.entries(told.groups).map(([at, group]) => [at, String(group)])),
}
const snapshot = parseLspci(readFileSync(textPath, 'utf8'), { label: basename(textPath), names })
const json = machineJson(snapshot, source)
// A file that cannot be read back must not be written.
parseMachine(JSON.parse(json))
process.stdout.write(json)
