/** Transactions of the behaviour suite, with a backend that talks to VPP through shared memory. Needs root and VPP. */
import { suite } from 'uvu';
import { loadNative } from '../../../native/index.js';
import { transactionTests } from '../../../test/backends/suite-transactions.js';
import { vppRigs } from '../../../test/backends/vpp-rig.js';
import { testIf } from '../../../test/support/requires.js';
import { installedVpp } from '../../../test/support/vpp.js';
import { needsVpp } from '../../../test/vpp/needs.js';
import { clientLibrary } from './api/testing/library.js';

const test = suite('vpp through shared memory');
const missing = needsVpp().find((need) => need !== null) ?? null;

if (missing === null) {
  const install = installedVpp();
  const library = clientLibrary(install);
  transactionTests(test, vppRigs(loadNative(), { install, library }));
} else testIf(test, missing)('transactions', () => undefined);

test.run();
