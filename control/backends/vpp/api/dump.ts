/** Dumps: the older ones, whose end only a ping behind them tells, and those with a cursor and a reply of their own. */
import type { Fields } from './api.js';
import type { MessageCodec } from './codec/message.js';
import { VppProtocolError } from './errors.js';
import type { Waiting } from './pending.js';
import type { ServiceSchema } from './schema.js';

/** `retval` of a `_get` that has more to tell. */
export const EAGAIN = -165;

const PING = 'control_ping';

/** A request's codec and id, looked up once. */
export interface Call {
  readonly codec: MessageCodec;
  readonly id: number;
  readonly service: ServiceSchema;
}

/** What a dump needs of the client. */
export interface Sender {
  /** Throws MissingMessageError. */
  call(message: string): Call;
  /** Sends; returns the context. Throws EncodeError, VppLostError. */
  wait(call: Call, fields: Fields | undefined, waiting: Waiting): number;
  /** No answer to this context is waited for any more. */
  forget(context: number): void;
}

/** All details. A single one that cannot be read fails the dump. Throws as VppApi.dump. */
export async function runDump(
  message: string,
  fields: Fields | undefined,
  sender: Sender,
): Promise<readonly Fields[]> {
  const call = sender.call(message);
  const { reply, details } = call.service;
  if (details === undefined) throw new VppProtocolError('is not a dump', { object: message });
  const list: Fields[] = [];
  const onDetails = (entry: Fields) => {
    list.push(entry);
  };
  if (reply === undefined) await endedByPing(call, { details, onDetails }, fields, sender);
  else await byCursor(call, { reply, details, onDetails }, fields, sender);
  return list;
}

type Details = Required<Pick<Waiting, 'details' | 'onDetails'>>;

function endedByPing(
  call: Call,
  details: Details,
  fields: Fields | undefined,
  sender: Sender,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const message = call.codec.name;
    const ping = sender.call(PING);
    let failed: Error | undefined;
    const dump = sender.wait(call, fields, {
      message,
      reply: details.details,
      ...details,
      resolve: () => {},
      reject: (error) => {
        failed ??= error;
      },
    });
    const end = (error: Error | undefined) => {
      sender.forget(dump);
      if (error === undefined) resolve();
      else reject(error);
    };
    sender.wait(ping, undefined, {
      message,
      reply: `${PING}_reply`,
      resolve: () => end(failed),
      reject: end,
    });
  });
}

async function byCursor(
  call: Call,
  answers: Details & Pick<Waiting, 'reply'>,
  fields: Fields | undefined,
  sender: Sender,
): Promise<void> {
  let cursor = fields?.['cursor'] ?? 0;
  for (;;) {
    const reply = await new Promise<Fields>((resolve, reject) => {
      sender.wait(call, { ...fields, cursor }, { message: call.codec.name, ...answers, resolve, reject });
    });
    if (reply['retval'] !== EAGAIN) return;
    cursor = reply['cursor'] ?? 0;
  }
}
