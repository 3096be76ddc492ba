/** What a test on a real VPP needs, and the VPPs it runs on. */
import { basename } from 'node:path';
import type { Test } from 'uvu';
import type { VppInstall } from '../../control/sim/vpp/install.js';
import { namespaceRequirements, requirements } from '../e2e/support/needs.js';
import { type Requirement, testIf } from '../support/requires.js';
import { installedVpps, vpp } from '../support/vpp.js';

/** For a VPP in a namespace of the test's. */
export function needsVpp(...programs: readonly string[]): readonly Requirement[] {
  return [...namespaceRequirements('setpriv', ...programs), vpp()];
}

/** For a whole cluster with nodes on VPP. */
export function needsVppCluster(...programs: readonly string[]): readonly Requirement[] {
  return [...requirements('setpriv', ...programs), vpp()];
}

/** The test on every VPP that is installed, or one skip that says why. */
export function onEveryVpp(test: Test, name: string, body: (install: VppInstall) => Promise<void>): void {
  const missing = namespaceRequirements('setpriv').find((need) => need !== null) ?? null;
  const installs = missing === null ? installedVpps() : [];
  if (installs.length === 0) testIf(test, missing ?? vpp())(name, () => undefined);
  for (const install of installs) test(`${name} (${basename(install.prefix)})`, () => body(install));
}
