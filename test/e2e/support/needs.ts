/** What an end-to-end test needs: root, the addon, the built programs, and what else it names. */
import { fileURLToPath } from 'node:url';
import { file, program, type Requirement, root } from '../../support/requires.js';

const BUILD = fileURLToPath(new URL('../../../../', import.meta.url));

/** For what needs namespaces and pod processes only. */
export function namespaceRequirements(...programs: readonly string[]): readonly Requirement[] {
  return needed(['native/pteropus.node', 'native/pteropus-pod'], programs);
}

/** For a whole cluster. */
export function requirements(...programs: readonly string[]): readonly Requirement[] {
  return needed(
    ['native/pteropus.node', 'native/pteropus-pod', 'native/pteropus-cni', 'dataplane.wasm'],
    programs,
  );
}

function needed(built: readonly string[], programs: readonly string[]): readonly Requirement[] {
  const isRoot = root();
  if (isRoot !== null) return [isRoot];
  return [...built.map((name) => file(`${BUILD}${name}`)), ...['nsenter', 'flock', ...programs].map(program)];
}
