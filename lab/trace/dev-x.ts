import { bootGuest } from '../guest.ts'
import { fetchKernel } from '../kernels.ts'
import { traceMachine } from './machine.ts'
import { readFileSync } from 'node:fs'
const kernel = await fetchKernel(process.argv[2] as never, '/tmp/labcache')
const guest = await bootGuest(traceMachine, kernel, { cacheRoot: '/tmp/labcache', keep: false })
const r = await guest.run({ run: readFileSync(process.argv[3] as string, 'utf8') })
console.log(r.stdout.toString(), r.stderr)
await guest.shutDown()
process.exit(0)
