/** The first messages, which are known before any description of the API is: who we are, which messages there are, who VPP is. */
import { Reader, type Writer } from './codec/bytes.js';
import { VppProtocolError } from './errors.js';

/** Ids that are the same in every VPP. */
const SOCKCLNT_CREATE = 15;
const SOCKCLNT_CREATE_REPLY = 16;

const NAME_SIZE = 64;

/** One entry of VPP's table of messages. */
export interface MessageEntry {
  readonly id: number;
  readonly crc: string;
}

export interface Welcome {
  /** What goes into `client_index` of each request. */
  readonly clientIndex: number;
  readonly messages: ReadonlyMap<string, MessageEntry>;
}

/** Writes `sockclnt_create`. */
export function writeHello(into: Writer, name: string): void {
  const at = into.append(new Uint8Array(6 + NAME_SIZE));
  into.bytes.writeUInt16BE(SOCKCLNT_CREATE, at);
  into.bytes.write(name.slice(0, NAME_SIZE - 1), at + 6, NAME_SIZE - 1);
}

/** Reads `sockclnt_create_reply`. Throws VppProtocolError, DecodeError. */
export function readWelcome(message: Buffer): Welcome {
  const from = new Reader(message);
  const id = message.readUInt16BE(from.take(2));
  if (id !== SOCKCLNT_CREATE_REPLY) throw new VppProtocolError('no sockclnt_create_reply', { value: id });
  const head = from.take(18);
  const response = message.readInt32BE(head + 8);
  if (response !== 0) throw new VppProtocolError('VPP accepts no client', { value: response });
  const clientIndex = message.readUInt32BE(head + 12);
  const count = message.readUInt16BE(head + 16);
  const messages = new Map<string, MessageEntry>();
  for (let i = 0; i < count; i++) {
    const at = from.take(2 + NAME_SIZE);
    const text = message.toString('latin1', at + 2, at + 2 + NAME_SIZE);
    const [, name, crc] = /^([^\0]+)_([0-9a-f]{8})(?:\0|$)/i.exec(text) ?? [];
    if (name !== undefined && crc !== undefined) {
      messages.set(name, { id: message.readUInt16BE(at), crc: crc.toLowerCase() });
    }
  }
  return { clientIndex, messages };
}

/** `control_ping`, whose form has never changed. */
const PING_SIZE = 10;

export function writePing(into: Writer, id: number, clientIndex: number, context: number): void {
  const at = into.reserve(PING_SIZE);
  into.bytes.writeUInt16BE(id, at);
  into.bytes.writeUInt32BE(clientIndex, at + 2);
  into.bytes.writeUInt32BE(context, at + 6);
}

/** Process id in `control_ping_reply`: id, context, retval, client_index, vpe_pid. Throws DecodeError. */
export function readPid(message: Buffer): number {
  return message.readUInt32BE(new Reader(message).take(18) + 14);
}
