import { hostSuite } from './support/host-suite.js';
import { requirements } from './support/needs.js';

hostSuite('host', requirements());
