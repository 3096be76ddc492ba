/** Access lists alone, for the benchmark and the tests. */
export { classifyList } from '../lists/classify';
