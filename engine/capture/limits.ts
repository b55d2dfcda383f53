export interface ListenerLimits {
  /** Rows in one round; the next is collected meanwhile, and then the socket is left alone until it is sent. */
  readonly keysPerRound: number;
  /** The same for the characters of their keys. */
  readonly charactersPerRound: number;
  /**
   * From the beginning of one round to that of the next, unless it is full before.
   * What comes after a silence goes at once; what comes in a stream goes in rounds of so long, since each round costs
   * commits, requests and merges of its own.
   */
  readonly roundEveryMs: number;
  /** What they grow to while the appliers are behind; and how often to look whether they are. */
  readonly longestRoundMs: number;
  /** How often a slot with nothing to send is moved on behind the server's WAL. */
  readonly idleConfirmMs: number;
  readonly heartbeatMs: number;
  /** Longest silence towards the server; a third of its wal_sender_timeout when that is shorter. */
  readonly statusEveryMs: number;
  /** Longest silence of the server, which is asked for an answer with each status. */
  readonly stallTimeoutMs: number;
  readonly standbyPollMs: number;
  /** How long the creation of a slot may wait for transactions that are open. */
  readonly slotTimeoutMs: number;
  /** How often to tell which those are. */
  readonly slotLookEveryMs: number;
  /** How long after the signal the round in hand may take; a container is usually killed after 30 s. */
  readonly finishWithinMs: number;
  /** After how long in flight a message is suspected to be lost: longer than the queue's visibility timeout. */
  readonly lostAfterMs: number;
  readonly lookForLostEveryMs: number;
}

export const defaultListenerLimits: ListenerLimits = {
  keysPerRound: 10_000,
  charactersPerRound: 4 * 1024 * 1024,
  roundEveryMs: 50,
  longestRoundMs: 500,
  idleConfirmMs: 1_000,
  heartbeatMs: 5_000,
  statusEveryMs: 10_000,
  stallTimeoutMs: 120_000,
  standbyPollMs: 1_000,
  slotTimeoutMs: 600_000,
  slotLookEveryMs: 5_000,
  finishWithinMs: 20_000,
  lostAfterMs: 600_000,
  lookForLostEveryMs: 30_000,
};
