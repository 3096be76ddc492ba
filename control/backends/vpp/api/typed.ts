/** The same connection, with the types of the messages the backend uses. */
import type { Fields, VppApi } from './api.js';
import type { Dumps, Events, Requests } from './generated/messages.gen.js';

/** What may be given for a field: any part of it, and the symbols of enums as any text, which is looked at when it is sent. */
export type Given<T> = T extends string | number | bigint | boolean | Uint8Array
  ? T | (T extends string ? string : never)
  : T extends readonly (infer E)[]
    ? readonly Given<E>[]
    : T extends Record<string, never>
      ? T
      : { readonly [K in keyof T]?: Given<T[K]> };

export type RequestOf<M extends string> = M extends keyof Requests ? Given<Requests[M]['request']> : Fields;
export type ReplyTo<M extends string> = M extends keyof Requests ? Requests[M]['reply'] : Fields;
export type DumpOf<M extends string> = M extends keyof Dumps ? Given<Dumps[M]['request']> : Fields;
export type DetailsOf<M extends string> = M extends keyof Dumps ? Dumps[M]['details'] : Fields;
export type EventOf<M extends string> = M extends keyof Events ? Events[M] : Fields;

/**
 * As VppApi; of the messages in use, a field that does not exist, or is of another kind, is an error of the compiler. The types are those
 * of the newest VPP known; what an older one lacks is undefined.
 */
export interface TypedVppApi extends Omit<VppApi, 'request' | 'dump' | 'onEvent'> {
  request<M extends string>(message: M, fields?: RequestOf<M>): Promise<ReplyTo<M>>;
  dump<M extends string>(message: M, fields?: DumpOf<M>): Promise<readonly DetailsOf<M>[]>;
  onEvent<M extends string>(
    message: M,
    listener: (event: { readonly message: string; readonly fields: EventOf<M> }) => void,
  ): () => void;
}

/** No work at run time: VPP's description, which the types were made of, is checked by CRC message by message. */
export function typed(api: VppApi): TypedVppApi {
  return api as VppApi & TypedVppApi;
}
