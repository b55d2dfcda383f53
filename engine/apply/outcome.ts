/** What became of one message. */
export type ApplyOutcome =
  | { readonly kind: 'done' }
  /** Not in the ledger: its work is finished, or its changes will be read again. */
  | { readonly kind: 'duplicate' }
  /** Of a direction that is not the active one: nothing was written. */
  | { readonly kind: 'fenced' }
  /** Cannot be understood by this migration or this database; belongs into the dead-letter queue. */
  | { readonly kind: 'unreadable'; readonly reason: string }
  /** Not finished: deliver it again. */
  | { readonly kind: 'again'; readonly error?: Error }
  /** A backfill that has more to do: send its body again under a new deduplication id, then acknowledge it. */
  | { readonly kind: 'continue' };
