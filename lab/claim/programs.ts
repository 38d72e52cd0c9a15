/** What the claim cases need in the guest beside the program: three small bundles, and koffi. */
import { bundleForGuest, KOFFI } from '../trace/guest-program.ts'

const sources = { hold: 'hold', listen: 'listen', hook: 'step-hook' } as const

function bundleOf(name: keyof typeof sources): string {
  return `.build/lab-claim-${name}.mjs`
}

/** Paths in the guest. */
export const holdProgram: string = `/app/${bundleOf('hold')}`
export const listenProgram: string = `/app/${bundleOf('listen')}`
export const hookProgram: string = `/app/${bundleOf('hook')}`

/** @returns paths relative to the project root */
export async function buildClaimPrograms(projectRoot: string): Promise<readonly string[]> {
  const names = ['hold', 'listen', 'hook'] as const
  for (const name of names) {
    await bundleForGuest(projectRoot, `lab/claim/${sources[name]}.ts`, bundleOf(name))
  }
  return [...names.map(bundleOf), ...KOFFI]
}
