/** Error codes of the CNI specification (section 5), and ours from 100 on. */
export const CNI = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidConfig: 7,
  tryAgainLater: 11,
  /** STATUS: ADD cannot be served now. */
  unavailable: 50,
  /** STATUS: nor can the pods that run rely on their network. */
  limited: 51,
  /** What we refuse or could not do, other than the above. */
  failed: 100,
  /** CHECK: the sandbox is not as ADD left it. */
  differs: 101,
} as const;
