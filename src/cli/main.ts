#!/usr/bin/env node
/**
 * The entry of the command line: binds runLine to this process.
 *
 * No signal handler unless a command asks for one: an interrupt ends the process at once, as the shell
 * expects (130), even in the middle of synchronous work.
 */
import { readFileSync } from 'node:fs'
import { SYSTEM_CLOCK } from '../open/system-clock.ts'
import { runLine } from './run.ts'
import { standardStream } from './stream.ts'

/** For whoever loads the program in order to compile it. */
export const finished: Promise<void> = runLine(process.argv.slice(2), {
  stdout: standardStream(1),
  stderr: standardStream(2),
  env: process.env,
  version: packageVersion,
  open: async (source) => {
    const { openHost } = await import('../open/open-host.ts')
    return openHost(source)
  },
  capture: async (request) => {
    const { captureSource } = await import('../open/capture-source.ts')
    await captureSource(request)
  },
  uid: process.getuid?.() ?? 0,
  clock: SYSTEM_CLOCK,
  openLive: async (source, state) => {
    const { openLiveHost } = await import('../open/open-live-host.ts')
    return openLiveHost(source, { state })
  },
  ask: async (question) => {
    const { askOnTerminal } = await import('./terminal.ts')
    return askOnTerminal(question)
  },
  startDetached: async (argv) => {
    const { startDetached } = await import('./detached.ts')
    await startDetached(argv)
  },
  interruption: () => {
    const controller = new AbortController()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        controller.abort()
      })
    }
    return controller.signal
  },
}).then((code) => {
  process.exitCode = code
})

/** package.json lies two folders above, in the sources and in the built program alike. */
function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(text) as { version: string }
  return version
}
