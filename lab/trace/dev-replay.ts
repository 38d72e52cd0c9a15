import { readFileSync } from 'node:fs'
import { replayTrace } from './replay.ts'
for (const f of process.argv.slice(2)) {
  const trace = JSON.parse(readFileSync(f, 'utf8'))
  for (const f of trace.machine.functions) if (f.at === '0000:00:1f.3') f.driver = null
  const t = performance.now()
  const found = await replayTrace(trace)
  console.log(
    f,
    trace.steps.length,
    'steps',
    Math.round(performance.now() - t),
    'ms',
    found.length,
    'differences',
  )
  for (const d of found.slice(0, 40))
    console.log(
      `#${d.step} ${d.operation ? JSON.stringify(d.operation).slice(0, 300) : ''}\n  ${d.what}\n    real  ${JSON.stringify(d.real, null, d.what === 'events' ? 7 : 0)?.slice(0, 3000)}\n    model ${JSON.stringify(d.model, null, d.what === 'events' ? 7 : 0)?.slice(0, 3000)}`,
    )
}
process.exit(0)
