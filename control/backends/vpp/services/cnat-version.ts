/** Which CNAT it is. */
import type { VppApi } from '../api/api.js';

/**
 * Since 2025 CNAT keeps one entry for each flow, looked up once at the input, and forgets the flows of a backend that is gone. Before, it
 * looked up at input and at output, kept what it had until it timed out, and had no choice of what decides on a backend.
 */
export function hasFlows(api: Pick<VppApi, 'has'>): boolean {
  return api.has('feature_cnat_enable_disable');
}
