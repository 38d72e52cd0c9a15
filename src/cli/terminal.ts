/** Questions to the person at the terminal. Data goes to stdout, so questions go to stderr. */

/**
 * The answer to a question; null when nobody is at the terminal, or whoever is there closed the input.
 * An interrupt ends the process as everywhere else.
 */
export async function askOnTerminal(question: string): Promise<string | null> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return null
  const { createInterface } = await import('node:readline')
  const reader = createInterface({ input: process.stdin, output: process.stderr })
  return new Promise((resolve) => {
    reader.on('close', () => {
      resolve(null)
    })
    reader.on('SIGINT', () => {
      // readline took the terminal's interrupt; give it its usual effect.
      process.kill(process.pid, 'SIGINT')
    })
    reader.question(question, (answer) => {
      resolve(answer)
      reader.close()
    })
  })
}
