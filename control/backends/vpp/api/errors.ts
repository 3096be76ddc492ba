/** What can go wrong between this process and VPP. */
import { PteropusError } from '../../../common/errors.js';
import { retvalName } from './retvals.js';

/** A value cannot be written into its field. `object` is the message, `field` the path inside it. Nothing was sent. */
export class EncodeError extends PteropusError {}

/** Bytes that are not the message they claim to be. */
export class DecodeError extends PteropusError {}

/** An API description (`*.api.json`) cannot be read, or refers to a type that is nowhere. */
export class ApiSchemaError extends PteropusError {}

/** The socket cannot be reached, or does not speak the protocol. */
export class VppConnectError extends PteropusError {}

/** The connection ended: VPP stopped, or was started anew. All ids and indexes it gave are void. */
export class VppLostError extends PteropusError {
  constructor(message: string, details: { readonly object?: string; readonly cause?: unknown } = {}) {
    super(message, { ...details, retryable: true });
  }
}

/**
 * No reply in time. VPP sends none for a message it finds truncated, and none while it is stopped or busy; whether it did what
 * was asked is not known.
 */
export class VppTimeoutError extends PteropusError {
  constructor(message: string, milliseconds: number) {
    super(`no reply in ${milliseconds} ms`, { object: message, retryable: true });
  }
}

/** The VPP at the other end has no such message: an older or newer version, or a plugin that is not loaded. */
export class MissingMessageError extends PteropusError {}

/** A reply of another kind than the request's. */
export class VppProtocolError extends PteropusError {}

/** VPP refused. `symbol` is its name for the number: `NO_SUCH_ENTRY` for -6. */
export class VppRetvalError extends PteropusError {
  readonly retval: number;
  readonly symbol: string;

  constructor(message: string, retval: number, text?: string) {
    const symbol = retvalName(retval);
    super(`VPP refused: ${symbol} (${retval})${text === undefined || text === '' ? '' : `: ${text}`}`, {
      object: message,
      retryable: symbol === 'EAGAIN' || symbol === 'BUSY' || symbol === 'QUEUE_FULL',
    });
    this.retval = retval;
    this.symbol = symbol;
  }
}
