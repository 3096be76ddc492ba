/** What the simulator's controllers have in common. They play what a cluster has beside its API server. */
import type { ApiClient, ApiObject } from '../api.js';
import type { ApiCache } from '../cache.js';
import { ApiError } from '../errors.js';
import { kindNamed, objectPath } from '../kinds.js';

export interface ControllerParts {
  readonly api: ApiClient;
  readonly cache: ApiCache;
  readonly log: (line: string) => void;
}

export interface Controller {
  /** Nothing is left to do, as far as the cache says. */
  readonly idle: boolean;
  close(): Promise<void>;
}

/** The owner that controls an object. */
export function controllerOf(object: ApiObject) {
  return object.metadata.ownerReferences?.find(({ controller }) => controller === true) ?? null;
}

export function pathOf(kind: string, { metadata }: ApiObject): string {
  return objectPath(kindNamed(kind), metadata.namespace, metadata.name);
}

/** Deletes it; gone already is fine. Throws ApiError. */
export async function remove(api: ApiClient, path: string, graceSeconds?: number): Promise<void> {
  try {
    await api.delete(path, graceSeconds);
  } catch (error) {
    if (!(error instanceof ApiError && error.code === 404)) throw error;
  }
}

/** Creates it; there already is fine: the cache will show it. Throws ApiError. */
export async function create(api: ApiClient, path: string, body: object): Promise<void> {
  try {
    await api.create(path, body);
  } catch (error) {
    if (!(error instanceof ApiError && error.code === 409)) throw error;
  }
}
