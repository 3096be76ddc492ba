/** What the agent is asked in one CNI command, checked, and what it answers; independent of the version of the specification. */
import type { NetConf } from './netconf.js';

export interface CniRequest {
  readonly containerId: string;
  /** Path of the sandbox's network namespace; '' where the runtime does not tell (DEL may come without). */
  readonly netns: string;
  /** Name of the link in the sandbox. */
  readonly ifname: string;
  /** CNI_ARGS: `KEY=value;KEY=value`. */
  readonly args: string;
  readonly conf: NetConf;
}

export interface CniReply {
  /** 0 = ok, else a code of codes.ts. */
  readonly result: number;
  readonly error: string;
  /** First the pod's, then the link at the node's side (sandbox ''). */
  readonly interfaces: readonly CniInterface[];
  readonly routes: readonly { readonly dst: string; readonly gw: string }[];
}

export interface CniInterface {
  readonly name: string;
  readonly mac: string;
  readonly sandbox: string;
  readonly ipAddresses: readonly {
    readonly version: 'IPV4' | 'IPV6';
    /** With prefix length. */
    readonly address: string;
    readonly gateway: string;
  }[];
  /** Largest IP packet, bytes; 0 = not said. */
  readonly mtu: number;
}

/** Who answers (the agent, or a test's double). No call throws: a failure is in the reply. */
export interface CniService {
  add(request: CniRequest): Promise<CniReply>;
  delete(request: CniRequest): Promise<CniReply>;
  check(request: CniRequest): Promise<CniReply>;
  /** Whether `add` would be served now; only the configuration is read. */
  status(request: CniRequest): Promise<CniReply>;
  /** Unwires what the configuration's list of valid attachments does not have; only the configuration is read. */
  gc(request: CniRequest): Promise<CniReply>;
}

/** A call that did what it should and has nothing to tell. */
export const DONE: CniReply = { result: 0, error: '', interfaces: [], routes: [] };

/** A failed call. */
export function failureReply(result: number, error: string): CniReply {
  return { ...DONE, result, error };
}
