/** A port that is taken must not keep a node from its network: the REST interface is opened later then. */
import { errorText } from '../../common/errors.js';
import { SocketInUseError } from '../../common/listen.js';
import { RestListenError, type RestServer } from './server.js';

const RETRY_MS = 5000;

/** Serves now or, if the address cannot be had, when it can. Throws what else `serve` throws (certificates). */
export async function servePatiently(
  serve: () => Promise<RestServer>,
  log: (line: string) => void,
  retryMs = RETRY_MS,
): Promise<{ close(): Promise<void> }> {
  let server: RestServer | null = null;
  let timer: NodeJS.Timeout | null = null;
  let trying: Promise<void> = Promise.resolve();
  let closed = false;
  const attempt = async (): Promise<void> => {
    try {
      server = await serve();
    } catch (error) {
      if (!(error instanceof RestListenError) && !(error instanceof SocketInUseError)) throw error;
      log(`${errorText(error)}; trying again`);
      timer = setTimeout(() => {
        trying = closed ? trying : attempt().catch((late: unknown) => log(errorText(late)));
      }, retryMs);
    }
  };
  await attempt();
  return {
    close: async () => {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      await trying;
      await server?.close();
    },
  };
}
