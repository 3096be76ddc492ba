/**
 * SCTP's checksum is a CRC32c over the whole packet (RFC 9260 appendix A). A CRC is linear, so a change of the ports is
 * folded in without reading the rest: crc' = crc xor (change * x^(8 * length) mod P). Works for packets in several buffers.
 */
const POLYNOMIAL: u32 = 0x82f63b78;
/** x^(8 * 2^k) mod P, bits reflected, for k = 0..15. */
const POWERS: usize = memory.data(16 * 4, 16);
/** x^8: bit 31 is x^0. */
const BYTE: u32 = 0x00800000;

/** a * b mod P, bits reflected. */
function multiply(a: u32, b: u32): u32 {
  let product: u32 = 0;
  for (let bit: u32 = 0x80000000; bit !== 0; bit >>= 1) {
    if (a & bit) product ^= b;
    b = (b >> 1) ^ (POLYNOMIAL & (0 - (b & 1)));
  }
  return product;
}

/** Fills the table of powers; once at start. */
export function prepareCrc(): void {
  let power = BYTE;
  for (let k: usize = 0; k < 16; k++) {
    store<u32>(POWERS + (k << 2), power);
    power = multiply(power, power);
  }
}

/** What changing the first word of a packet of `length` bytes by `change` (before xor after, as loaded) xors into its CRC. */
export function crcChange(change: u32, length: u32): u32 {
  let product = change;
  for (let k: usize = 0; length !== 0; k++, length >>= 1) {
    if (length & 1) product = multiply(product, load<u32>(POWERS + ((k & 15) << 2)));
  }
  return product;
}
