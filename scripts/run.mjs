// `npm run sim` and `npm test` on a bare machine: set up, build what changed, then do it.
import { build } from './build.mjs';
import { setup } from './setup.mjs';
import { buildTools } from './tools.mjs';

const [goal, ...args] = process.argv.slice(2);

async function main() {
  if (!['sim', 'test', 'build'].includes(goal)) throw new Error(`no such goal: ${goal}`);
  const missing = setup(goal);
  const canCompile =
    process.platform === 'linux' && !['g++', 'make', 'cmake'].some((p) => missing.includes(p));
  const root = process.platform === 'linux' && process.getuid() === 0;
  build({ native: canCompile && (goal !== 'sim' || root) });
  if (goal === 'test') {
    const { test } = await import('./test.mjs');
    // Others' programs are built while the tests run that do not need them; without root few tests would use them.
    return test(args, root ? buildTools : () => Promise.resolve());
  }
  if (goal === 'sim') {
    if (args.includes('--kubernetes') && !args.includes('--help')) {
      setup('kubernetes');
      if (!args.some((arg) => arg.startsWith('--kubeconfig')))
        await buildTools((line) => process.stderr.write(`${line}\n`));
    }
    const { main: pteropus } = await import('../build/js/control/main.js');
    return pteropus(['sim', ...args]);
  }
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 3;
}
