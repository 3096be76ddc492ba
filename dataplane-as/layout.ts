/** asc's list of the files of dataplane-as/layout, which describe the shared memory; tsc's is layout/index.ts. */

export * from './layout/control';
export * from './layout/counters';
export * from './layout/image';
export * from './layout/memory';
export * from './layout/sessions';
export * from './layout/shared';
export * from './layout/tables';
export * from './layout/trace';
export * from './layout/vector';
