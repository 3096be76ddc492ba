/**
 * Pod to pod, 64-byte packets a second through one node, beside Linux doing the same in the same run; method in bench/README.md.
 *
 *   node build/js/bench/pod-to-pod/main.js [--rounds 5] [--flows 10000] [--only CASE] [--sides NAME[;NAME ...]]
 */
import { benchOptions } from '../options.js';
import { podToPodText, runPodToPod, SIDES } from './run.js';

const usage = `usage: npm run bench:pod-to-pod -- [--rounds N] [--flows N] [--only CASE] [--sides NAME;...]      (as root)
sides: ${SIDES.join('; ')}`;
const options = benchOptions(usage, {
  rounds: { type: 'string', default: '5' },
  flows: { type: 'string', default: '10000' },
  only: { type: 'string', default: '' },
  sides: { type: 'string' },
});

const rows = await runPodToPod({
  rounds: Number(options.rounds),
  flows: Number(options.flows),
  only: options.only,
  ...(options.sides === undefined ? {} : { sides: options.sides.split(';') }),
  progress: (line) => process.stderr.write(`${line}\n`),
});
process.stdout.write(podToPodText(rows));
