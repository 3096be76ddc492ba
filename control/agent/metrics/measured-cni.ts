/** CNI commands with their results and durations counted. */
import type { CniReply, CniRequest, CniService } from '../../cni/messages.js';

/** `done`: the command's name, its result (0, or a code of the specification), and seconds. */
export function measuredCni(
  service: CniService,
  done: (command: string, result: number, seconds: number) => void,
): CniService {
  const measure = (command: string, method: keyof CniService) => {
    return async (request: CniRequest): Promise<CniReply> => {
      const start = performance.now();
      const reply = await service[method](request);
      done(command, reply.result, (performance.now() - start) / 1000);
      return reply;
    };
  };
  return {
    add: measure('ADD', 'add'),
    delete: measure('DEL', 'delete'),
    check: measure('CHECK', 'check'),
    status: measure('STATUS', 'status'),
    gc: measure('GC', 'gc'),
  };
}
