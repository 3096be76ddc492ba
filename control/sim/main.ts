/** `pteropus sim`: a whole cluster on this machine. */
import { UsageError } from '../common/command-line.js';

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

/** Exit code 0: fine, 1: a check failed. Throws UsageError, InvalidInputError, PteropusError. */
export async function run(argv: readonly string[]): Promise<number> {
  const [first = '', ...rest] = argv;
  if (first === '' || first.startsWith('-')) return await (await import('./commands/run.js')).run(argv);
  const load = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
  if (load === undefined) {
    const known = Object.keys(COMMANDS).filter((name) => name !== 'supervise');
    throw new UsageError(`unknown command; there are ${known.join(', ')}`, { value: first });
  }
  return await (await load()).run(rest);
}
