/** Applies manifests of any kind to an API server: where a kind lives is what the server itself says. */
import type { ApiClient, Json } from '../../../control/sim/kubernetes/api.js';
import type { Manifest } from './chart.js';

export interface Applier {
  /** Server-side apply; `dryRun`: everything but the writing. Unknown fields are refused. Throws ApiError. */
  apply(manifest: Manifest, options: { readonly dryRun: boolean }): Promise<Json>;
}

interface Resource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

export function applierFor(api: ApiClient): Applier {
  const groups = new Map<string, readonly Resource[]>();
  const resourceOf = async (
    apiVersion: string,
    kind: string,
  ): Promise<{ base: string; resource: Resource }> => {
    const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const resources = groups.get(base) ?? ((await api.get(base))['resources'] as readonly Resource[]);
    groups.set(base, resources);
    const resource = resources.find((one) => one.kind === kind && !one.name.includes('/'));
    if (resource === undefined) throw new Error(`the API server has no ${apiVersion} ${kind}`);
    return { base, resource };
  };
  return {
    async apply(manifest, { dryRun }) {
      const { apiVersion = '', kind = '', metadata } = manifest;
      const { base, resource } = await resourceOf(apiVersion, kind);
      const folder = resource.namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : '';
      const query = `fieldValidation=Strict${dryRun ? '&dryRun=All' : ''}`;
      return await api.apply(`${base}${folder}/${resource.name}/${metadata.name}`, manifest, 'test', query);
    },
  };
}
