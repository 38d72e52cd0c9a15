/**
 * What a file of sysfs makes of the bytes that were written to it. The kernel puts a zero byte behind them
 * and hands them on as a C string, so nothing after a zero byte is seen (fs/sysfs/file.c).
 */

/** The text up to the first zero byte, byte for byte. */
export function writtenText(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) {
    if (byte === 0) break
    text += String.fromCharCode(byte)
  }
  return text
}

/**
 * The text to compare with a word: a newline at its end does not count, one inside does (sysfs_streq).
 * So "echo" works, and two lines name nothing.
 */
export function writtenWord(bytes: Uint8Array): string {
  const text = writtenText(bytes)
  return text.endsWith('\n') ? text.slice(0, -1) : text
}
