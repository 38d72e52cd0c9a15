import { writeFileSync } from 'node:fs'
import { bundleTask } from '../../tools/task.mjs'
import { bootGuest } from '../guest.ts'
import { fetchKernel } from '../kernels.ts'
import { recordTrace } from './record.ts'
import { traceMachine } from './machine.ts'
const [series, seed, steps, out] = process.argv.slice(2)
const root = '/work/main'
await bundleTask('lab/trace/guest.ts')
const program = {
  projectRoot: root,
  include: [
    'package.json',
    '.build/lab-trace-guest.mjs',
    'node_modules/koffi/package.json',
    'node_modules/koffi/index.js',
    'node_modules/koffi/src/koffi',
    'node_modules/koffi/lib',
    'node_modules/@koromix/koffi-linux-x64/package.json',
    'node_modules/@koromix/koffi-linux-x64/index.js',
    'node_modules/@koromix/koffi-linux-x64/linux_x64',
  ],
  entry: '.build/lab-trace-guest.mjs',
}
const kernel = await fetchKernel(series as never, '/tmp/labcache')
const t0 = performance.now()
const guest = await bootGuest(traceMachine, kernel, {
  cacheRoot: '/tmp/labcache',
  program,
  keep: false,
})
console.error('booted', guest.bootMilliseconds)
try {
  const trace = await recordTrace(
    guest,
    '/app/.build/lab-trace-guest.mjs',
    Number(seed),
    Number(steps),
  )
  writeFileSync(out, JSON.stringify({ kernel: series, ...trace }))
  console.error('steps', trace.steps.length, Math.round(performance.now() - t0), 'ms')
} catch (e) {
  console.error(e)
  console.error(
    (
      await guest.run({
        run: `cat /run/trace/log | tail -5; dmesg | tail -20; tail -5 /run/trace/steps`,
        deadlineMs: 20000,
      })
    ).stdout.toString(),
  )
} finally {
  console.error(guest.consoleTail(30))
  await guest.shutDown()
}
