/** Writes docs/reference/schemas/*.schema.json: `npm run schemas`. A test fails when they are stale. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { schemaFiles } from '../src/cli/schemas/schema-files.ts'

const folder = join('docs', 'reference', 'schemas')
const files = schemaFiles()

mkdirSync(folder, { recursive: true })
for (const name of readdirSync(folder)) if (!files.has(name)) rmSync(join(folder, name))
for (const [name, text] of files) writeFileSync(join(folder, name), text)
