/** The agent's reply as a result of the version the configuration asks for (CNI specification, section 5). */
import type { CniInterface, CniReply } from './messages.js';
import type { NetConf, Version } from './netconf.js';

type Json = Readonly<Record<string, unknown>>;

/**
 * A result for ADD. Interfaces: the node's side first, then the sandbox's, as the reference plugins have it. What a
 * plugin before us in the chain made (prevResult) is kept, ours is added.
 */
export function toResult(reply: CniReply, conf: NetConf): Json {
  const { cniVersion } = conf;
  const prev = conf.prevResult ?? {};
  const before = list(prev['interfaces']);
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
    interfaces: [...before, ...ordered.map((link) => interfaceOf(link, cniVersion))],
    ips: [...list(prev['ips']), ...ips],
    routes: [...list(prev['routes']), ...routes],
    dns: Object.keys(conf.dns).length > 0 ? conf.dns : (prev['dns'] ?? {}),
  };
}

function interfaceOf({ name, mac, sandbox, mtu }: CniInterface, version: Version): Json {
  return {
    name,
    mac,
    ...(version === '1.1.0' && mtu > 0 ? { mtu } : {}),
    ...(sandbox === '' ? {} : { sandbox }),
  };
}

/** Results before 1.0.0 say of each address which family it is of. */
function hasIpVersion(version: Version): boolean {
  return version === '0.3.1' || version === '0.4.0';
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
