/** Records that live as long as the program: for models of which nothing is kept. */
import type { StateDirectory } from './state-directory.ts'

export function memoryDirectory(): StateDirectory {
  const files = new Map<string, string>()
  let turn: Promise<void> = Promise.resolve()
  return {
    place: 'memory',
    list: () => [...files.keys()],
    read: (name) => files.get(name) ?? null,
    append: (name, text) => void files.set(name, (files.get(name) ?? '') + text),
    replace: (name, text) => void files.set(name, text),
    remove: (name) => void files.delete(name),
    async lock() {
      const before = turn
      let unlock = (): void => undefined
      turn = new Promise((resolve) => {
        unlock = resolve
      })
      await before
      return unlock
    },
  }
}
