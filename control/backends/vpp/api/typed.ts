/** The same connection, with the types of the messages the backend uses. */
import type { VppApi } from './api.js';
import type { Dumps, Events, Requests } from './generated/messages.gen.js';

/** What may be given for a field: any part of it. */
export type Given<T> = T extends string | number | bigint | boolean | Uint8Array
  ? T
  : T extends readonly (infer E)[]
    ? readonly Given<E>[]
    : { readonly [K in keyof T]?: Given<T[K]> };

/** As VppApi; a message or a field that does not exist is an error of the compiler. The types are those of the newest VPP known. */
export interface TypedVppApi extends Omit<VppApi, 'request' | 'dump' | 'onEvent'> {
  request<M extends keyof Requests>(
    message: M,
    fields?: Given<Requests[M]['request']>,
  ): Promise<Requests[M]['reply']>;
  dump<M extends keyof Dumps>(
    message: M,
    fields?: Given<Dumps[M]['request']>,
  ): Promise<readonly Dumps[M]['details'][]>;
  onEvent<M extends keyof Events>(
    message: M,
    listener: (event: { readonly message: M; readonly fields: Events[M] }) => void,
  ): () => void;
}

/** No work at run time: VPP's description, which the types were made of, is checked by CRC message by message. */
export function typed(api: VppApi): TypedVppApi {
  return api as VppApi & TypedVppApi;
}
