/** Runs a program's `run` inside this process; what it printed, and its exit code. */
export async function captured(
  run: (argv: readonly string[]) => Promise<number>,
  argv: readonly string[],
): Promise<{ readonly code: number; readonly text: string }> {
  const write = process.stdout.write;
  let text = '';
  process.stdout.write = ((chunk: string) => {
    text += chunk;
    return true;
  }) as typeof write;
  try {
    // The code first: `text` holds all of the output only then.
    const code = await run(argv);
    return { code, text };
  } finally {
    process.stdout.write = write;
  }
}
