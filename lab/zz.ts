import { liveKernel } from '/work/main/src/kernel/native/live-kernel.ts'
const k = liveKernel()
const e = k.events()
const it = e[Symbol.asyncIterator]()
const n = it.next()
await k.write('/sys/devices/virtual/mem/null/uevent', new TextEncoder().encode('change'), 5000)
console.log(new TextDecoder().decode((await n).value).replaceAll('\0','|'))
await e.close()
