/**
 * What a kept cluster's supervisor and the commands that talk to it say to each other over a unix socket, framed as in
 * common/frames.ts.
 */

export interface Request {
  readonly id: number;
  readonly method: string;
  readonly params: unknown;
}

/** Any number of progress lines, then one result or error. */
export type Reply =
  | { readonly id: number; readonly progress: string }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { readonly message: string; readonly known: boolean } };
