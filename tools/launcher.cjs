/**
 * Starts the program with the code that V8 compiled when it was built: parsing and compiling is most of what
 * a short command costs. Another version of Node refuses that code, and compiles for itself.
 *
 * Copied to dist/cli/main.js, with the name of the program in place of PROGRAM.
 */
'use strict'
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { Script } = require('node:vm')

const PARAMETERS = 'exports, require, module, __filename, __dirname'

/** @param {string} name of a file beside this one, ASCII only @param {Buffer | undefined} cachedData */
function compile(name, cachedData) {
  const filename = join(__dirname, name)
  const code = `(function (${PARAMETERS}) {${readFileSync(filename, 'latin1')}\n})`
  return new Script(code, { filename, cachedData })
}

/** @returns what the program exports */
function start(script, name) {
  const module = { exports: {} }
  const filename = join(__dirname, name)
  script.runInThisContext()(module.exports, require, module, filename, __dirname)
  return module.exports
}

function compiledCode(name) {
  try {
    return readFileSync(join(__dirname, `${name}.v8`))
  } catch {
    return undefined
  }
}

if (require.main === module) start(compile('PROGRAM', compiledCode('PROGRAM')), 'PROGRAM')
module.exports = { compile, start }
