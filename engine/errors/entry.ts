/**
 * Whether repeating what failed can help. `by itself`: a listener that has once captured repeats it, ever more slowly, until
 * it succeeds; anything else is to be started again. `later`: the same command can succeed without any change, when what
 * stood in its way has passed. `once mended`: the same would happen again, so nothing repeats it.
 */
export type RetryPolicy = 'by itself' | 'later' | 'once mended';

/** What an error means for the data, whether repeating helps, and what to do. */
export interface ErrorEntry {
  readonly meaning: string;
  readonly retry: RetryPolicy;
  readonly remedy: string;
  /** 1: the answer is no. 2: could not run. */
  readonly exitCode: 1 | 2;
}
