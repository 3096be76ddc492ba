/** For CHECK: what the data plane should have of a pod beside its interface, and has not. */
import { compileHostPorts } from '../compiler/host-ports.js';
import type { Ip, Ruleset } from '../ruleset/types.js';
import type { PodRecord } from './journal.js';

export function missingItems(
  inForce: Ruleset,
  record: PodRecord,
  nodeAddresses: readonly Ip[],
): readonly string[] {
  return compileHostPorts(record, nodeAddresses)
    .filter(({ key }) => !inForce.has(key))
    .map(({ key }) => `the data plane does not have ${key}`);
}
