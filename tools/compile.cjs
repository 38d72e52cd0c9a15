/**
 * `node tools/compile.cjs LAUNCHER PROGRAM`: writes what V8 makes of the program beside it. Only functions that ran are
 * in it, so the commands whose start matters are run once, on this host, of which they only read.
 */
'use strict'
const { existsSync, readdirSync, writeFileSync } = require('node:fs')
const { dirname, join } = require('node:path')

const DEVICES = '/sys/bus/pci/devices'
/** Where no claims are. */
const STATE = ['--state', join(__dirname, 'none')]

/** A host without PCI functions says so, and then that much is compiled. */
function lines() {
  const [device = '00:00.0'] = existsSync(DEVICES) ? readdirSync(DEVICES) : []
  return [['--help'], ['--version'], ['ls'], ['plan', device, ...STATE], ['claims', ...STATE]]
}

async function main() {
  const [launcher, name] = process.argv.slice(2)
  const { compile, start } = require(launcher)
  const script = compile(name, undefined)
  for (const line of lines()) {
    process.argv = [process.execPath, launcher, ...line]
    await start(script, name).finished
  }
  writeFileSync(join(dirname(launcher), `${name}.v8`), script.createCachedData())
  process.exitCode = 0
}

void main()
