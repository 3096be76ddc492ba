/** What the items do not say, completed. */
import type { VppOptions } from './objects/types.js';

/** af_packet everywhere: it needs nothing of the kernel that not every machine has. */
export const DEFAULT_OPTIONS: VppOptions = {
  uplink: { type: 'af_packet' },
  host: { type: 'af_packet' },
  pod: { type: 'af_packet' },
  policies: 'acl',
  services: 'cnat',
};
