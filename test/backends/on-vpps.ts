/** Suites on every VPP at hand, over veth and af_packet. Need root and VPP. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import type { VppInstall } from '../../control/sim/vpp/install.js';
import { loadNative, type Native } from '../../native/index.js';
import { file, program, root } from '../support/requires.js';
import { installedVpps, vpp } from '../support/vpp.js';

const addon = fileURLToPath(new URL('../../../native/pteropus.node', import.meta.url));

/** `run` registers and runs suites; `what`: for whom it is skipped where there is no VPP. */
export function onVpps(what: string, run: (install: VppInstall, name: string, native: Native) => void): void {
  const missing = [root(), file(addon), program('nsenter'), program('setpriv')].find((need) => need !== null);
  const installs = missing === undefined ? installedVpps() : [];
  if (missing !== undefined || installs.length === 0) {
    const test = suite('vpp');
    process.stdout.write(`skipped: vpp: ${missing ?? vpp()}\n`);
    test.skip(what);
    test.run();
    return;
  }
  const native = loadNative();
  for (const install of installs) run(install, `vpp ${basename(install.prefix)}`, native);
  if (!existsSync('/dev/vhost-net')) {
    process.stdout.write('vpp: pods on veth and af_packet; TAP was not exercised: needs /dev/vhost-net\n');
  }
}
