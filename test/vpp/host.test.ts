/** Nodes on VPP, and their own stacks beside it; NodeLocal DNSCache among what they serve. */
import { hostSuite } from '../e2e/support/host-suite.js';
import { needsVppCluster } from './needs.js';

hostSuite('vhost', needsVppCluster(), ['node-1', 'node-2']);
