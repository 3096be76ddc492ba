/** A process for one run of bench/compile.ts, so that its memory can be told. Prints one line of JSON. */
import { main, type RunSpec } from './compile-run.js';

process.stdout.write(`${JSON.stringify(main(JSON.parse(process.argv[2] ?? '') as RunSpec))}\n`);
