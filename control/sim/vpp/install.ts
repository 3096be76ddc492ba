/** Which VPP of this machine the simulator and tests use; production's is named in the configuration. */
import { type VppInstall, vppUnder } from '../../vswitch/install.js';

export { type VppInstall, vppUnder };

/** The one in PTEROPUS_VPP_PREFIX, else that of the system's packages; or the reason why there is none. */
export function findVpp(environment: NodeJS.ProcessEnv = process.env): VppInstall | string {
  const prefix = environment['PTEROPUS_VPP_PREFIX'] ?? '';
  const found = vppUnder(prefix === '' ? '/usr' : prefix);
  return typeof found === 'string' && prefix === '' ? `${found}, or PTEROPUS_VPP_PREFIX` : found;
}
