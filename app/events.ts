/** What happens inside that a team wants to count or log. Ids of rows at most; never their content. */
export type AppEvent =
  /** A flagged read failed on the normalized tables and was answered from legacy. */
  | { readonly event: 'fallback'; readonly method: string; readonly error: unknown }
  /** A flagged read found nothing in the normalized tables, and legacy was asked. */
  | { readonly event: 'missing'; readonly method: string }
  /** A flagged read went to legacy, because the normalized tables had not caught up with a write in time. */
  | { readonly event: 'behind'; readonly method: string }
  /** A write met the guard of a side that is no longer the truth, and goes to the other one. */
  | { readonly event: 'turned'; readonly to: Side }
  /** A write was rolled back by a deadlock or a serialization failure, and is repeated. */
  | { readonly event: 'repeated'; readonly sqlState: string }
  /** Phase and flags could not be read; it is tried again. */
  | { readonly event: 'settings-unreadable'; readonly error: unknown }
  /** The value of a flag is not understood; the flag counts as off. */
  | { readonly event: 'flag-invalid'; readonly flag: string }
  /** Both sides were asked, and do not agree although they should. */
  | { readonly event: 'difference'; readonly method: string; readonly arguments: readonly unknown[] }
  /** A shadow read could not be done or recorded; no user was concerned. */
  | { readonly event: 'shadow-failed'; readonly error: unknown };

export type Observe = (event: AppEvent) => void;

export type Side = 'legacy' | 'normalized';
