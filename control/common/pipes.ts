/** Standard output and standard error whose reader has gone: without a listener either ends a Node.js program with a stack trace. */

/** As a shell tells of a program that SIGPIPE ended (128 + 13). */
const ENDED_BY_SIGPIPE = 141;
const BROKE = 3;

interface Pipe {
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
}

/**
 * A program that answers (`| head`) has nobody left to answer and ends; one that serves goes on, since traffic must not depend on who
 * reads its log.
 */
export function followPipes(
  serves: boolean,
  pipes: readonly Pipe[] = [process.stdout, process.stderr],
  exit: (code: number) => void = (code) => process.exit(code),
): void {
  for (const pipe of pipes) {
    pipe.on('error', ({ code }) => {
      if (!serves) exit(code === 'EPIPE' ? ENDED_BY_SIGPIPE : BROKE);
    });
  }
}
