/** The C programs that isogroup is compared with. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import type { Tool } from '../lab/packages.ts'

export const COMPILER: Tool = { program: 'gcc', packages: ['gcc', 'libc6-dev'] }

/** Why nothing can be compiled here; null when it can. */
export function needsCompiler(): string | null {
  const compiler = spawnSync('gcc', ['--version'])
  return compiler.status === 0
    ? null
    : `gcc is not installed: apt-get install ${COMPILER.packages.join(' ')}`
}

/** Static: the guest has only Node's libraries. Both paths are relative to the project root. */
export function compileC(projectRoot: string, source: string, program: string): void {
  const args = ['-O2', '-static', '-o', join(projectRoot, program), join(projectRoot, source)]
  const { status, stderr } = spawnSync('gcc', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`cannot compile ${source}: ${stderr}`)
}
