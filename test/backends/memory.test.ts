/** The behaviour suite over the memory feed: no privileges, one process. */
import { openMemoryRig } from './memory-rig.js';
import { backendSuite } from './suite.js';

backendSuite('memory', () => openMemoryRig());
