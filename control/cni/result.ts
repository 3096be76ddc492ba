/** The agent's reply as a result of the version the configuration asks for (CNI specification, section 5). */
import { isMapping, type Mapping } from './mapping.js';
import type { CniInterface, CniReply } from './messages.js';
import type { NetConf, Version } from './netconf.js';

/**
 * A result for ADD. Interfaces: the node's side first, then the sandbox's, as the reference plugins have it. What a
 * plugin before us in the chain made (prevResult) is kept, in the shape of this version; ours is added.
 */
export function toResult(reply: CniReply, { cniVersion, prevResult, dns }: NetConf): Mapping {
  const before = list(prevResult?.['interfaces']);
  const ordered = [...reply.interfaces].sort((a, b) => Number(a.sandbox !== '') - Number(b.sandbox !== ''));
  const ips = ordered.flatMap(({ ipAddresses }, i) =>
    ipAddresses.map(({ version, address, gateway }) => ({
      ...(hasIpVersion(cniVersion) ? { version: version === 'IPV4' ? '4' : '6' } : {}),
      interface: before.length + i,
      address,
      ...(gateway === '' ? {} : { gateway }),
    })),
  );
  const routes = reply.routes.map(({ dst, gw }) => (gw === '' ? { dst } : { dst, gw }));
  return {
    cniVersion,
    interfaces: [
      ...before.map((link) => without(link, cniVersion === '1.1.0' ? [] : INTERFACE_SINCE_1_1)),
      ...ordered.map((link) => interfaceOf(link, cniVersion)),
    ],
    ips: [...list(prevResult?.['ips']).map((ip) => earlierIp(ip, cniVersion)), ...ips],
    routes: [
      ...list(prevResult?.['routes']).map((r) => without(r, cniVersion === '1.1.0' ? [] : ROUTE_SINCE_1_1)),
      ...routes,
    ],
    dns: Object.keys(dns).length > 0 ? dns : (prevResult?.['dns'] ?? {}),
  };
}

/**
 * For CHECK: what the chain's last result says of our link in the sandbox and is not so, in words. A result that does not
 * list it says nothing (a plugin behind us may have left it out).
 */
export function differences(reply: CniReply, { prevResult }: NetConf): readonly string[] {
  const links = list(prevResult?.['interfaces']);
  const ips = list(prevResult?.['ips']);
  return reply.interfaces.flatMap(({ name, sandbox, ipAddresses }) => {
    const at = links.findIndex(
      (link) => isMapping(link) && link['name'] === name && (link['sandbox'] ?? '') === sandbox,
    );
    const said = links[at];
    if (sandbox === '' || !isMapping(said)) return [];
    const problems: string[] = [];
    const saidIps = ips.flatMap((ip) =>
      isMapping(ip) && ip['interface'] === at ? [String(ip['address'])] : [],
    );
    const ours = ipAddresses.map(({ address }) => address);
    for (const address of ours) {
      if (ips.length > 0 && !saidIps.includes(address))
        problems.push(`prevResult lacks ${address} of ${name}`);
    }
    for (const address of saidIps) {
      if (!ours.includes(address)) problems.push(`${name} does not have ${address}`);
    }
    return problems;
  });
}

function interfaceOf({ name, mac, sandbox, mtu }: CniInterface, version: Version): Mapping {
  return {
    name,
    mac,
    ...(version === '1.1.0' && mtu > 0 ? { mtu } : {}),
    ...(sandbox === '' ? {} : { sandbox }),
  };
}

/** What 1.1.0 added to interfaces and routes. */
const INTERFACE_SINCE_1_1: readonly string[] = ['mtu', 'socketPath', 'pciID'];
const ROUTE_SINCE_1_1: readonly string[] = ['mtu', 'advmss', 'priority', 'table', 'scope'];

function earlierIp(ip: unknown, version: Version): unknown {
  if (!isMapping(ip)) return ip;
  const { version: _, ...plain } = ip;
  if (!hasIpVersion(version)) return plain;
  return { version: String(ip['address']).includes(':') ? '6' : '4', ...plain };
}

function without(value: unknown, fields: readonly string[]): unknown {
  if (!isMapping(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => !fields.includes(name)));
}

/** Results before 1.0.0 say of each address which family it is of. */
function hasIpVersion(version: Version): boolean {
  return version === '0.3.1' || version === '0.4.0';
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
