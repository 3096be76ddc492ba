/** The custom resource ClusterNetworkPolicy (sigs.k8s.io/network-policy-api, v1alpha2), as far as an API server has to know it. */
import type { ApiClient } from './api.js';
import { ApiError } from './errors.js';
import { collectionPath, kindNamed } from './kinds.js';

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const GROUP = 'policy.networking.k8s.io';
const READY_MS = 10_000;
const POLL_MS = 50;

/** Fields are checked by whoever compiles them; the server keeps what it is given. */
const DEFINITION = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: {
    name: `clusternetworkpolicies.${GROUP}`,
    annotations: {
      'api-approved.kubernetes.io': 'https://github.com/kubernetes-sigs/network-policy-api/pull/300',
    },
  },
  spec: {
    group: GROUP,
    scope: 'Cluster',
    names: {
      kind: 'ClusterNetworkPolicy',
      listKind: 'ClusterNetworkPolicyList',
      plural: 'clusternetworkpolicies',
      singular: 'clusternetworkpolicy',
      shortNames: ['cnp'],
    },
    versions: [
      {
        name: 'v1alpha2',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            required: ['spec'],
            properties: {
              spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
              status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
            },
          },
        },
      },
    ],
  },
};

/** Makes the kind known to a server that does not have it; resolves when it serves it. Throws ApiError. */
export async function installClusterPolicies(api: ApiClient): Promise<void> {
  try {
    await api.create(DEFINITIONS, DEFINITION);
  } catch (error) {
    // There already: the cluster's own definition is the better one.
    if (!(error instanceof ApiError && error.code === 409)) throw error;
  }
  const deadline = Date.now() + READY_MS;
  for (;;) {
    try {
      await api.get(collectionPath(kindNamed('ClusterNetworkPolicy')));
      return;
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 404) || Date.now() > deadline) throw error;
    }
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
}
