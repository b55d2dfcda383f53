/** What an error means for the data, and what to do. */
export interface ErrorEntry {
  readonly meaning: string;
  readonly remedy: string;
  /** 1: the answer is no. 2: could not run. */
  readonly exitCode: 1 | 2;
}
