/** `pteropus sim`: a whole cluster on this machine. */
import { errorText, InvalidInputError, PteropusError } from '../common/errors.js';

type Command = { readonly run: (argv: readonly string[]) => Promise<number> };

const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  exec: () => import('./commands/exec.js'),
  apply: () => import('./commands/apply.js'),
  delete: () => import('./commands/delete.js'),
  trace: () => import('./commands/trace.js'),
  matrix: () => import('./commands/matrix.js'),
  status: () => import('./commands/status.js'),
  watch: () => import('./commands/watch.js'),
  down: () => import('./commands/down.js'),
  // Not for people: what --keep leaves behind.
  supervise: () => import('./supervisor.js'),
};

/** Exit codes: 0 fine, 1 a check failed, 2 wrong usage or manifests, 3 something broke. */
export async function run(argv: readonly string[]): Promise<number> {
  const [first = '', ...rest] = argv;
  try {
    if (first === '' || first.startsWith('-')) return await (await import('./commands/run.js')).run(argv);
    const load = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
    if (load === undefined) {
      const known = Object.keys(COMMANDS).filter((name) => name !== 'supervise');
      throw new InvalidInputError(`unknown command; there are ${known.join(', ')}`, { value: first });
    }
    return await (await load()).run(rest);
  } catch (error) {
    const text =
      error instanceof PteropusError
        ? errorText(error)
        : error instanceof Error
          ? error.stack
          : String(error);
    process.stderr.write(`pteropus sim: ${text}\n`);
    return error instanceof InvalidInputError ? 2 : 3;
  }
}
