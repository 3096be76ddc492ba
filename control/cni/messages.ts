/** The messages of proto/cni.proto as TypeScript sees them. */
export interface CniRequest {
  readonly version: string;
  readonly containerId: string;
  readonly networkNamespace: string;
  readonly interfaceName: string;
  readonly extraNwConfig: string;
  /** CNI_ARGS: `KEY=value;KEY=value`. */
  readonly extraArguments: string;
  readonly ipamType: string;
  readonly ipamData: string;
}

export interface CniReply {
  /** 0 = ok, else a code of codes.ts. */
  readonly result: number;
  readonly error: string;
  /** First the pod's, then the link at the node's side (sandbox ''). */
  readonly interfaces: readonly CniInterface[];
  readonly routes: readonly { readonly dst: string; readonly gw: string }[];
  readonly dns: readonly CniDns[];
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

export interface CniDns {
  readonly domain: string;
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** A failed call. */
export function failureReply(result: number, error: string): CniReply {
  return { result, error, interfaces: [], routes: [], dns: [] };
}
