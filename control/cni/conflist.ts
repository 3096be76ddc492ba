/** The network configuration list that makes a container runtime call us (CNI specification, section 1). */
import { VERSIONS } from './netconf.js';

/** Runtimes take the first file by name. */
export const CONFLIST_NAME = '10-pteropus.conflist';

/** Whether a runtime reads the file, and before ours. */
export function goesFirst(name: string): boolean {
  return isConfiguration(name) && name < CONFLIST_NAME;
}

/** Whether a runtime reads a file of this name. */
export function isConfiguration(name: string): boolean {
  return /\.(conf|conflist|json)$/.test(name);
}

/** Name of the executable in the runtime's directory, which the configuration's `type` is. */
export const PLUGIN_TYPE = 'pteropus';
/** Name of the network. */
export const NETWORK_NAME = 'k8s-pod-network';

/** `socket`: the agent's. */
export function conflistText(socket: string): string {
  const list = {
    // What runtimes of the last years know; newer ones take the highest of cniVersions that they know (specification 1.1.0).
    cniVersion: '1.0.0',
    cniVersions: VERSIONS,
    name: NETWORK_NAME,
    plugins: [{ type: PLUGIN_TYPE, capabilities: { portMappings: true, bandwidth: true }, socket }],
  };
  return `${JSON.stringify(list, null, 2)}\n`;
}
