/**
 * Pods behind TAPs beside pods behind veths with AF_XDP and beside the kernel's bridge with its offloads: bulk TCP, request/response
 * latency while the data plane is busy and after it went to sleep, and what a node with 50 idle pods costs.
 *
 *   node build/js/bench/tap.js [--rounds 5] [--parts tcp,latency,idle]
 */
import { benchOptions } from './options.js';
import { runTap, tapText } from './tap-run.js';

const usage = 'usage: npm run bench:tap -- [--rounds N] [--parts tcp,latency,idle]      (as root)';
const options = benchOptions(usage, {
  rounds: { type: 'string', default: '5' },
  parts: { type: 'string' },
});

const rows = await runTap({
  rounds: Number(options.rounds),
  ...(options.parts === undefined ? {} : { parts: options.parts.split(',') }),
  progress: (line) => process.stderr.write(`${line}\n`),
});
process.stdout.write(tapText(rows));
