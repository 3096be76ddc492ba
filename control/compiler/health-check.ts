import type { Service } from '../objects/types.js';
import type { HealthCheckItem } from '../ruleset/types.js';
import type { Context } from './context.js';
import { ServiceEndpoints } from './endpoints.js';

const FAMILIES = [4, 6] as const;

/** What load balancers are told about this node: only where it matters to them which node they choose. */
export function compileHealthCheck(
  context: Context,
  service: Service,
  endpoints = new ServiceEndpoints(context, service),
): readonly HealthCheckItem[] {
  const { type, externalTrafficPolicy, healthCheckNodePort, ports } = service.spec;
  if (type !== 'LoadBalancer' || externalTrafficPolicy !== 'Local' || healthCheckNodePort === null) return [];
  const ready = ports.flatMap((port) =>
    FAMILIES.flatMap((family) => endpoints.of(port, family).readyOn(context.self.name)),
  );
  const { namespace, name } = service.metadata;
  return [
    {
      kind: 'healthcheck',
      key: `healthcheck/${namespace ?? ''}/${name}`,
      namespace: namespace ?? '',
      name,
      port: healthCheckNodePort,
      localEndpoints: new Set(ready).size,
    },
  ];
}
