/**
 * The one description of the shared memory: compiled by asc into the pipeline and by tsc into the control plane.
 *
 * Only `export const NAME = <integer expression>` lives in this folder, so that both compilers agree. Integers in tables are
 * little-endian unless a comment says "network": those hold packet bytes as they lie in the packet, so that the pipeline
 * compares and copies them without swapping. test/golden/layout holds every value; a change there is a change of format.
 *
 * Who writes what: images by the control thread only (left-right: the spare image is written, published by one atomic store
 * of CTL_ACTIVE_IMAGE, acknowledged by the worker in CTL_ACK_IMAGE, then the same operations are applied to the other one);
 * everything else by the worker only, except words marked "control".
 *
 * This is tsc's list of the folder; asc's, which writes file names another way, is dataplane-as/layout.ts.
 */

export * from './control.js';
export * from './counters.js';
export * from './image.js';
export * from './memory.js';
export * from './sessions.js';
export * from './shared.js';
export * from './tables.js';
export * from './trace.js';
export * from './vector.js';
