import type { Service } from '../objects/types.js';
import type { HealthCheckItem } from '../ruleset/types.js';
import type { Context } from './context.js';
import { candidatesOf, onNode } from './endpoints.js';

const FAMILIES = [4, 6] as const;

/** What load balancers are told about this node: only where it matters to them which node they choose. */
export function compileHealthCheck(context: Context, service: Service): readonly HealthCheckItem[] {
  const { type, externalTrafficPolicy, healthCheckNodePort, ports } = service.spec;
  if (type !== 'LoadBalancer' || externalTrafficPolicy !== 'Local' || healthCheckNodePort === null) return [];
  const ready = ports.flatMap((port) =>
    FAMILIES.flatMap((family) =>
      onNode(candidatesOf(context, service, port, family), context.self.name).filter((c) => c.ready),
    ),
  );
  const { namespace, name } = service.metadata;
  return [
    {
      kind: 'healthcheck',
      key: `healthcheck/${namespace ?? ''}/${name}`,
      namespace: namespace ?? '',
      name,
      port: healthCheckNodePort,
      localEndpoints: new Set(ready.map(({ address }) => address)).size,
    },
  ];
}
