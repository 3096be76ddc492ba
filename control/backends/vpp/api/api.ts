/** VPP's binary API as the rest of the backend sees it: named messages, plain values, replies matched by context. */

/**
 * A field's value. Integers up to 32 bits and floats are numbers, 64-bit ones bigint; strings and addresses, prefixes, MACs are
 * canonical text; enums are their symbol, enum flags the list of the symbols set; `u8` arrays are Uint8Array, other arrays lists; types are
 * objects; unions are an object with one field, the arm.
 */
export type Value =
  | number
  | bigint
  | string
  | boolean
  | Uint8Array
  | readonly Value[]
  | { readonly [field: string]: Value };

/** Fields of a message without `_vl_msg_id`, `client_index` and `context`. A field left out takes its default, else zero. */
export type Fields = Readonly<Record<string, Value>>;

export interface VppEvent {
  readonly message: string;
  readonly fields: Fields;
}

/** One connection. Requests may be sent without waiting for one another; VPP takes them in the order of the calls. */
export interface VppApi {
  /** What `show_version` says. */
  readonly version: string;
  /** Process id of VPP. */
  readonly pid: number;
  /** Whether the VPP at the other end has this message just as its API file describes it. */
  has(message: string): boolean;
  /** Why `has` says no: `VPP 23.02 has no such message`; null when it says yes. */
  lacks?(message: string): string | null;
  /** Throws VppRetvalError when VPP refuses, VppTimeoutError, VppLostError, MissingMessageError, EncodeError. */
  request(message: string, fields?: Fields): Promise<Fields>;
  /** All details of a dump (ended by a control ping) or of a `_get` with a cursor. */
  dump(message: string, fields?: Fields): Promise<readonly Fields[]>;
  /** What a command of the debug CLI prints. */
  cli(command: string): Promise<string>;
  /** Until the function returned is called. Which events come is asked for by `want_…_events`. */
  onEvent(message: string, listener: (event: VppEvent) => void): () => void;
  /** Resolves with the reason when the connection is gone; all ids and indexes are void then. Never rejects. */
  readonly lost: Promise<Error>;
  close(): Promise<void>;
}
