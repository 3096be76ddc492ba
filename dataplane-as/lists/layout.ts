/**
 * An access list in memory: any prefixes times ranges of ports, the first rule that matches decides. Compiled by both compilers, as
 * dataplane-as/layout is. Words are little-endian u32 unless said otherwise.
 *
 * Each side (source, destination) has a trie that leads from an address to its class: the longest prefix of the list that holds it.
 * A class knows the prefixes around it, each in a place of its own (LIST_PLACES), and which pairs of places any rule has. Where the
 * classes of both sides have such a pair in common, the pair of prefixes is looked up in one hash; it leads to lines of four rules.
 */

// Header: byte offsets of the sections from the list's start.
export const LIST_SRC_TRIE = 0;
export const LIST_DST_TRIE = 4;
export const LIST_SRC_CLASSES = 8;
export const LIST_DST_CLASSES = 12;
export const LIST_PAIRS = 16;
export const LIST_PAIRS_LOG2 = 20;
export const LIST_LINES = 24;
/** Rules that found no place: tested one by one, LOOSE_SIZE each. */
export const LIST_LOOSE = 28;
export const LIST_LOOSE_COUNT = 32;
/** Bytes of a bit vector, 0 = there are none and pairs are looked at (see below). */
export const LIST_VECTOR_SIZE = 36;
export const LIST_SRC_VECTORS = 40; // one for each class
export const LIST_DST_VECTORS = 44;
export const LIST_SRC_PORTS = 48; // which vector, see below
export const LIST_SRC_PORT_VECTORS = 52;
export const LIST_DST_PORTS = 56;
export const LIST_DST_PORT_VECTORS = 60;
export const LIST_PROTOCOLS = 64; // u16 for each protocol: which vector
export const LIST_PROTOCOL_VECTORS = 68;
export const LIST_NUMBERS = 72; // u32 for each bit: the rule's number
/** LIST_LENGTHS x LIST_LENGTHS words by both prefix lengths: the lowest number of any rule whose prefixes have these. */
export const LIST_BOUNDS = 76;
export const LIST_LENGTHS_SHIFT = 6;
/** 1: built as a short list, which has smaller tries. */
export const LIST_SHORT = 80;
/** How far numbers are shifted right to fit into the bounds of classes. */
export const LIST_BOUND_SHIFT = 84;
/** For each vector a word with a bit for each 128 of its bits that are not all 0; sections in the order of the vectors' own. */
export const LIST_SRC_PARTS = 88;
export const LIST_DST_PARTS = 92;
export const LIST_SRC_PORT_PARTS = 96;
export const LIST_DST_PORT_PARTS = 100;
export const LIST_PROTOCOL_PARTS = 104;
export const LIST_HEADER_SIZE = 128;

/**
 * Short lists have a bit for each rule besides, in their order: a vector for each class, port and protocol says which rules it meets,
 * and the first bit that all five have is the answer. The bit behind the last rule is set everywhere and stands for NO_RULE. The
 * vectors say what the list was when they were made; a change takes them out of use until they are made anew.
 *
 * Ports: blocks of 256 u16. Of the first, the port's upper byte chooses the number of another one; of that the lower byte the vector.
 */
export const VECTOR_RULES = 1535;
export const LIST_PORT_BLOCK = 256;
export const LIST_PORT_BLOCK_SHIFT = 9; // of bytes

/**
 * Trie: the upper bits of the address (host order) choose a word of the root, the next ones words of at most three blocks: 12, 8, 6
 * and 6 bits in short lists, 16, 7, 4 and 5 in others. A word is LIST_CHILD | where a block begins, in lines of 64 bytes from the
 * trie's start on, or the prefix length << LIST_LENGTH_SHIFT | class. Class 0 = none.
 */
export const LIST_SHORT_ROOT_BITS = 12;
export const LIST_SHORT_SECOND_BITS = 8;
export const LIST_SHORT_THIRD_BITS = 6;
export const LIST_ROOT_BITS = 16;
export const LIST_SECOND_BITS = 7;
export const LIST_THIRD_BITS = 4;
export const LIST_TRIE_LINE_WORDS = 16;
export const LIST_TRIE_LINE_SHIFT = 6; // of bytes
export const LIST_CHILD = 0x80000000;
export const LIST_LENGTH_SHIFT = 24;
export const LIST_CLASS = 0xffffff;

/** Class: which pairs of places any of its prefixes has a rule for (u64, bit = source's place * 8 + destination's), its prefixes. */
export const LIST_PLACES = 8;
export const CLASS_SIZE = 64;
export const CLASS_SHIFT = 6;
export const CLASS_TUPLES = 0; // u64
export const CLASS_PREFIXES = 8; // one word for each place: number of the prefix | its length << PREFIX_LENGTH_SHIFT, 0 = none
/** u16 for each place: no rule of the prefix has a number that is lower when shifted by LIST_BOUND_SHIFT. */
export const CLASS_BOUNDS = 48;
export const CLASS_NO_BOUND = 0xffff;
export const PREFIX_LENGTH_SHIFT = 24;
export const PREFIX_NUMBER = 0xffffff;

/**
 * Buckets of four pairs, filled from the first cell on. With h = source * HASH_A ^ destination * HASH_C a pair is in the bucket
 * (h ^ h >>> 15) * HASH_D >>> (32 - log2) or, where that is full, in the next one that is not.
 */
export const BUCKET_SIZE = 64;
export const BUCKET_SHIFT = 6;
export const BUCKET_PAIRS = 4;
export const BUCKET_SRC = 0; // four u32 each: prefixes as classes name them, 0 = empty
export const BUCKET_DST = 16;
export const BUCKET_LINES = 32; // index of the first line of rules | how many << PAIR_COUNT_SHIFT | PAIR_PORTS: a port set follows
export const BUCKET_LOWEST = 48; // the lowest number of its rules
export const PAIR_COUNT_SHIFT = 23;
export const PAIR_COUNT = 0xff;
export const PAIR_PORTS = 0x80000000;
export const PAIR_LINE = 0x7fffff;

/**
 * Pairs with many rules have a port set besides (PORTSET_SIZE in dataplane-as/layout), whose verdicts are numbers of rules, for those
 * rules that ask for no source port and for one protocol or all.
 *
 * Line: four rules in their order. Each range is four u16 lowest values, then four u16 complements of the highest; an unused rule
 * has 0xffff in all, which nothing meets in three ranges at once.
 */
export const LINE_SIZE = 64;
export const LINE_SHIFT = 6;
export const LINE_RULES = 4;
export const LINE_SRC_PORTS = 0;
export const LINE_DST_PORTS = 16;
export const LINE_PROTOCOLS = 32;
export const LINE_NUMBERS = 48; // four u32: the rule's number, the lower the earlier

/** Loose rule: source, its mask, destination, its mask (host order), ports (lowest | highest << 16), protocols alike, number. */
export const LOOSE_SIZE = 32;

/** Answer where no rule matches. */
export const NO_RULE = 0xffffffff;
