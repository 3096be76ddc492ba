/** The behaviour suite on real VPPs, and what their limits say is seen. */
import { suite } from 'uvu';
import { onVpps } from './on-vpps.js';
import { backendSuite } from './suite.js';
import { limitTests } from './vpp-limits.js';
import { openVppRig, vppRigs } from './vpp-rig.js';

onVpps('the behaviour suite on VPP', (install, name, native) => {
  backendSuite(name, vppRigs(native, { install }));
  const limits = suite(`${name} limits`);
  limitTests(limits, () => openVppRig(native, { install }));
  limits.run();
});
