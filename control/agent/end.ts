/** How a program learns that it should end. */

export interface End {
  /** Resolves on a signal to end. */
  readonly asked: Promise<undefined>;
  /** Lets go of signals and standard input, so that the process can end by itself. */
  release(): void;
}

/** With `withStdin`, the end of standard input ends us at once: whoever held it is gone. */
export function endOf(withStdin: boolean): End {
  const exit = (): never => process.exit(0);
  if (withStdin) process.stdin.on('error', exit).on('close', exit).resume();
  let ask = (): void => undefined;
  const asked = new Promise<undefined>((resolve) => {
    ask = () => resolve(undefined);
  });
  process.on('SIGTERM', ask).on('SIGINT', ask);
  const release = (): void => {
    process.off('SIGTERM', ask).off('SIGINT', ask);
    if (withStdin) process.stdin.off('error', exit).off('close', exit).destroy();
  };
  return { asked, release };
}
