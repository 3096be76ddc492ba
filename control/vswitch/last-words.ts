/** What a VPP that died says of it in its own log. Pure. */

/** Frames of the way out of the program, which say nothing. */
const WAY_OUT =
  /^(pthread_\w+|gsignal|raise|abort|os_panic|os_exit|unix_signal_handler|vlib_process_bootstrap|clib_calljmp)$/;
const FRAMES = 3;

/** Signs of what we know, in a line of the log or among the frames, and what to do. */
const KNOWN: readonly (readonly [RegExp, string])[] = [
  [
    /worker thread (refork )?deadlock|barrier_sync/,
    'a worker thread did not get its core for a second: isolate the cores of vpp.startup.workerCores',
  ],
  [/os_out_of_memory|out of memory/, 'its heap is full: vpp.startup.heap'],
];

/** What releases put before their lines where they are meant for syslog. */
const SYSLOG_NAME = /^vpp\[\d+\]: /gm;
// biome-ignore lint/suspicious/noControlCharactersInRegex: colors of a terminal
const COLORS = /\u001b\[\d*m/g;

/** `log`: what it has written since it was started or taken over. Null: it was killed, or says nothing. */
export function lastWords(log: string): string | null {
  const lines = log.replace(COLORS, '').replace(SYSLOG_NAME, '').split('\n');
  const at = lines.findLastIndex((line) => line.startsWith('received signal '));
  const signal = at < 0 ? [] : [/^received signal (\w+)/.exec(lines[at] ?? '')?.[1] ?? 'a signal'];
  const said = lines.findLast((line) => KNOWN.some(([pattern]) => pattern.test(line)) && !isFrame(line));
  const frames = lines
    .slice(at < 0 ? lines.length : at + 1)
    .flatMap((line) => /^#\d+ +0x[0-9a-f]+ ([A-Za-z_]\w*) /.exec(line)?.[1] ?? [])
    .filter((name) => !WAY_OUT.test(name))
    .slice(0, FRAMES);
  const parts = [...signal, ...(said === undefined ? [] : [said.trim()])];
  if (parts.length === 0) return null;
  const text = [...parts, ...(frames.length === 0 ? [] : [`in ${frames.join(', called by ')}`])].join(', ');
  const hint = KNOWN.find(([pattern]) => pattern.test(text))?.[1];
  return hint === undefined ? text : `${text}; ${hint}`;
}

const isFrame = (line: string): boolean => /^#\d/.test(line);
