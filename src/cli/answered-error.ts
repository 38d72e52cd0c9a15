/** A "no" whose whole answer, findings and all, is on standard output already. */
import { IsogroupError } from '../base/errors.ts'

/**
 * Ends a command with the exit code of its failure. Unlike other failures it prints no object of its own
 * with --json, since the result that was printed is the one object.
 */
export class AnsweredError extends IsogroupError {}
