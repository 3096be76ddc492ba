/**
 * An access list in memory: any prefixes times ranges of ports, the first rule that matches decides. Compiled by both compilers, as
 * dataplane-as/layout is. Words are little-endian u32 unless said otherwise.
 *
 * Each side (source, destination) has a tree that leads from an address to its class: the longest prefix of the list that holds it. A
 * class knows the prefixes around it, each in a place of its own (LIST_PLACES), and which pairs of places any rule has. Where the
 * classes of both sides have such a pair in common, the pair of prefixes is looked up in one hash, which holds its rule or leads to
 * lines of four rules.
 */

// Header: byte offsets of the sections from the list's start.
export const LIST_SRC_TREE = 0;
export const LIST_DST_TREE = 4;
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
/** A word for each two groups of prefix lengths (source's << PREFIX_GROUP_BITS | destination's): the lowest number of their rules. */
export const LIST_BOUNDS = 76;
/** Levels of both trees; 0: a short list, which has tries in place of them. */
export const LIST_LEVELS = 80;
/** How far numbers are shifted right to choose one of LIST_BELOW. */
export const LIST_BELOW_SHIFT = 84;
/** For each vector a word with a bit for each 128 of its bits that are not all 0; sections in the order of the vectors' own. */
export const LIST_SRC_PARTS = 88;
export const LIST_DST_PARTS = 92;
export const LIST_SRC_PORT_PARTS = 96;
export const LIST_DST_PORT_PARTS = 100;
export const LIST_PROTOCOL_PARTS = 104;
/** BELOW_STEPS u64: the pairs of places with any rule whose shifted number is not above the index. */
export const LIST_BELOW = 108;
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
 * Trie of a short list: the upper bits of the address (host order) choose a word of the root, the next ones words of at most three
 * blocks. A word is LIST_CHILD | where a block begins, in lines of 64 bytes from the trie's start on, or the prefix length <<
 * LIST_LENGTH_SHIFT | class. Class 0 = none.
 */
export const LIST_ROOT_BITS = 12;
export const LIST_SECOND_BITS = 8;
export const LIST_THIRD_BITS = 6;
export const LIST_TRIE_LINE_WORDS = 16;
export const LIST_TRIE_LINE_SHIFT = 6; // of bytes
export const LIST_CHILD = 0x80000000;
export const LIST_LENGTH_SHIFT = 24;
export const LIST_CLASS = 0xffffff;

/**
 * Tree of other lists: stretches of addresses that have the same class, in order, sixteen to a leaf; a node has sixteen of what is a level
 * below. It begins with the offsets of its levels from the list's start, the root's first. Node n of a level lies at n * TREE_LINE_SIZE,
 * its children are 16n to 16n + 15 of the next one. A node says where all but its first child begin, as address ^ 0x80000000 - 1, to be
 * compared as a signed number: how many of these are below address ^ 0x80000000 is the child to go to.
 */
export const TREE_KEYS = 16;
export const TREE_KEYS_SHIFT = 4;
export const TREE_LINE_SIZE = 64;
export const TREE_LINE_SHIFT = 6;
/** A leaf's line is followed by one with its classes. */
export const TREE_LEAF_SIZE = 128;
export const TREE_LEAF_SHIFT = 7;
export const TREE_CLASSES = 64;
/** Of the first child, and of those that are not there. */
export const TREE_NO_KEY = 0x7fffffff;

/**
 * Class: which pairs of places any of its prefixes has a rule for (u64, bit = source's place * 8 + destination's), its prefixes. The
 * longer a prefix, the higher its place, as far as those around it leave it one.
 */
export const LIST_PLACES = 8;
export const CLASS_SIZE = 32;
export const CLASS_SHIFT = 5;
export const CLASS_TUPLES = 0; // u64
export const CLASS_PREFIXES = 8; // three bytes for each place: number of the prefix | its group << PREFIX_GROUP_SHIFT, 0 = none
export const CLASS_PREFIX_SIZE = 3;
/** Prefixes are numbered from 1 on; a group is all of one length, but the first, which is of lengths 0 and 1. */
export const PREFIX_GROUP_BITS = 5;
export const PREFIX_GROUP_SHIFT = 19;
export const PREFIX_NUMBER = 0x7ffff;
export const PREFIX_BITS = 24;
/** Of LIST_BELOW. */
export const BELOW_STEPS = 256;

/**
 * Buckets of four pairs. The home of a pair of numbers is source ^ (destination * HASH_C >>> (32 - log2)), its lower log2 bits; in a
 * bucket it has the key destination | source >>> log2 << PAIR_SOURCE_SHIFT | how many buckets behind its home << PAIR_AWAY_SHIFT, which
 * nothing else has there. It lies behind its home where that was full, and all it passed over say so.
 *
 * A pair with one rule, for any source port, has it in its cell; others have lines. A cell of the former kind has the rule's ranges: the
 * lowest values, then complements of the highest. One of the latter has what is in `where` (LINES_*) in place of them, its lower
 * half first, and its bit among the bucket's flags; its number is the lowest of its rules, and it has no protocol that a packet meets.
 */
export const BUCKET_SIZE = 64;
export const BUCKET_SHIFT = 6;
export const BUCKET_PAIRS = 4;
export const BUCKET_KEYS = 0; // four u32, 0 = empty
export const BUCKET_NUMBERS = 16; // four u32
export const BUCKET_DST_PORTS = 32; // four u16 lowest, four u16 complements
export const BUCKET_PROTOCOLS = 48; // four u8 lowest, four u8 complements
export const BUCKET_FLAGS = 56; // a bit for each cell whose rules are in lines, BUCKET_PASSED
/** A pair that would be in this bucket or lies behind one that would be is further on. */
export const BUCKET_PASSED = 16;
export const PAIR_SOURCE_SHIFT = 19;
export const PAIR_AWAY_SHIFT = 28;
export const PAIR_MOST_AWAY = 15;
/** Index of the first line of rules | how many << LINES_COUNT_SHIFT | LINES_PORTS: a port set follows. */
export const LINES_COUNT_SHIFT = 23;
export const LINES_COUNT = 0xff;
export const LINES_PORTS = 0x80000000;
export const LINES_FIRST = 0x7fffff;

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
