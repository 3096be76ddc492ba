/** `npm run bench:classify [-- --sizes a,b] [-- --rounds N]`: classification alone. Method: bench/README.md. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { benchOptions } from '../options.js';
import { ROOT } from '../peers/build.js';

// Before any module is compiled: only optimised code is measured.
setFlagsFromString('--no-liftoff');
const { classification, SIZES } = await import('./run.js');
const { plot } = await import('./plot.js');

const ALL = SIZES.join();
const { sizes, rounds } = benchOptions('usage: npm run bench:classify [-- --sizes a,b,c] [-- --rounds N]', {
  sizes: { type: 'string', default: ALL },
  rounds: { type: 'string', default: '15' },
});
const cpu = cpus()[0]?.model ?? 'unknown CPU';
const load = loadavg()[0];
process.stdout.write(`${cpu}, Linux ${release()}, Node ${process.version}, load ${load?.toFixed(1)}\n`);
const results = await classification(
  (line) => process.stdout.write(line),
  sizes.split(',').map(Number),
  Number(rounds),
);
// Some sizes alone are for looking, not for keeping.
if (sizes !== ALL) process.exit();
const machine = { cpu, cores: cpus().length, memory: totalmem(), kernel: release(), node: process.version };
const folder = `${ROOT}bench/results/`;
mkdirSync(folder, { recursive: true });
const record = { date: new Date().toISOString(), machine, load, results };
writeFileSync(`${folder}classify.json`, `${JSON.stringify(record, null, 1)}\n`);
for (const [name, svg] of plot(results, `${cpu}, Node ${process.version}`)) {
  writeFileSync(`${folder}${name}.svg`, svg);
}
