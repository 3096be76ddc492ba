/**
 * The two messages of proto/cni.proto on the wire (protocol buffers encoding). Written by hand, because the CNI program is
 * started anew for each pod and a full library costs half its run time. A test holds it to the proto file.
 */
import { PteropusError } from '../common/errors.js';
import type { CniDns, CniInterface, CniReply, CniRequest } from './messages.js';

/** The bytes are no message of ours. */
export class WireError extends PteropusError {}

const REQUEST_FIELDS: readonly (readonly [number, keyof CniRequest])[] = [
  [1, 'version'],
  [2, 'containerId'],
  [3, 'networkNamespace'],
  [4, 'interfaceName'],
  [5, 'extraNwConfig'],
  [6, 'extraArguments'],
  [7, 'ipamType'],
  [8, 'ipamData'],
];

const LENGTH_DELIMITED = 2;

export function encodeRequest(request: CniRequest): Buffer {
  return Buffer.concat(
    REQUEST_FIELDS.flatMap(([number, field]) => {
      const text = Buffer.from(request[field], 'utf8');
      return text.length === 0 ? [] : [varint((number << 3) | LENGTH_DELIMITED), varint(text.length), text];
    }),
  );
}

/** Fields that are absent have proto3's defaults; unknown ones are skipped. Throws WireError. */
export function decodeReply(bytes: Buffer): CniReply {
  const fields = readFields(bytes);
  return {
    result: fields.number(1),
    error: fields.text(2),
    interfaces: fields.messages(4).map(decodeInterface),
    routes: fields.messages(5).map((route) => ({ dst: route.text(1), gw: route.text(2) })),
    dns: fields.messages(6).map(decodeDns),
  };
}

function decodeInterface(fields: Fields): CniInterface {
  return {
    name: fields.text(1),
    mac: fields.text(2),
    sandbox: fields.text(3),
    ipAddresses: fields.messages(4).map((ip) => ({
      version: ip.number(1) === 0 ? 'IPV4' : 'IPV6',
      address: ip.text(2),
      gateway: ip.text(3),
    })),
    mtu: fields.number(5),
  };
}

function decodeDns(fields: Fields): CniDns {
  return {
    domain: fields.text(1),
    nameservers: fields.texts(2),
    search: fields.texts(3),
    options: fields.texts(4),
  };
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

class Fields {
  readonly #numbers = new Map<number, number>();
  readonly #bytes = new Map<number, Buffer[]>();

  addNumber(field: number, value: number): void {
    this.#numbers.set(field, value);
  }

  addBytes(field: number, value: Buffer): void {
    const list = this.#bytes.get(field);
    if (list === undefined) this.#bytes.set(field, [value]);
    else list.push(value);
  }

  number(field: number): number {
    return this.#numbers.get(field) ?? 0;
  }

  text(field: number): string {
    return this.texts(field).at(-1) ?? '';
  }

  texts(field: number): readonly string[] {
    return (this.#bytes.get(field) ?? []).map((bytes) => bytes.toString('utf8'));
  }

  messages(field: number): readonly Fields[] {
    return (this.#bytes.get(field) ?? []).map(readFields);
  }
}

function readFields(bytes: Buffer): Fields {
  const fields = new Fields();
  let at = 0;
  const next = (): number => {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 63; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) break;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new WireError('a number is cut off');
  };
  const skip = (length: number): Buffer => {
    if (length > bytes.length - at) throw new WireError('a field is cut off');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = next();
    const field = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        fields.addNumber(field, next());
        break;
      case 1:
        skip(8);
        break;
      case LENGTH_DELIMITED:
        fields.addBytes(field, skip(next()));
        break;
      case 5:
        skip(4);
        break;
      default:
        throw new WireError('unknown wire type', { value: tag % 8 });
    }
  }
  return fields;
}
