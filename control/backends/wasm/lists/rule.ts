/** A rule of an access list: IPv4 prefixes (host order), ranges of ports and protocols, ends included. */
export interface ListRule {
  readonly src: number;
  readonly srcLength: number;
  readonly dst: number;
  readonly dstLength: number;
  readonly srcPorts: Range;
  readonly dstPorts: Range;
  readonly protocols: Range;
}

export type Range = readonly [lowest: number, highest: number];

export const ANY_PORT: Range = [0, 65535];
export const ANY_PROTOCOL: Range = [0, 255];

/** All ones above the host bits. */
export function maskOf(length: number): number {
  return length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0;
}
