/** Records that live as long as the program: for models of which nothing is kept. */
import type { LockName, StateDirectory } from './state-directory.ts'

export function memoryDirectory(): StateDirectory {
  const files = new Map<string, string>()
  const turns = new Map<LockName, Promise<void>>()
  return {
    place: 'memory',
    list: () => [...files.keys()],
    read: (name) => files.get(name) ?? null,
    append: (name, text) => void files.set(name, (files.get(name) ?? '') + text),
    replace: (name, text) => void files.set(name, text),
    remove: (name) => void files.delete(name),
    async lock(name) {
      const before = turns.get(name)
      let unlock = (): void => undefined
      turns.set(
        name,
        new Promise((resolve) => {
          unlock = resolve
        }),
      )
      await before
      return unlock
    },
  }
}
