/*
 * The protocol of Lockstep (docs/how-it-works.md) in a world small enough to try every interleaving.
 *
 * Legacy holds one row, X, which is in scope A, in scope B, or gone, and a second source whose value for a scope is part
 * of what the view says of X there. The application changes both. The changes are captured, entered into the ledger and
 * sent. Appliers take messages in any order, more than once, and merge the scopes they lead to. At some moment an
 * operator cuts over; from then on the application writes the target.
 *
 * Claims, each an assertion or the absence of a deadlock:
 *   1. whenever everything committed is captured and the ledger is empty, the target is what the view says;
 *   2. a cutover therefore loses nothing, and after it no forward merge changes what the application writes;
 *   3. the ledger does become empty: whatever crashes, no entry stays for ever.
 *
 * One row is enough because each rule speaks of one row and its scopes; a statement that handles many rows does for each
 * what is modelled here, under the locks of all. A SQL statement has one snapshot and is one atomic step; between the
 * statements of a READ COMMITTED transaction anything may happen. Taking a lock and the statement after it are one step
 * too, because a lock taken earlier only keeps others out longer; a merge's locks on two scopes stay two steps, so that a
 * deadlock would be found. A crash undoes its whole transaction: one just before the commit stands for all.
 *
 * Worlds (-D):
 *   LISTENER      the listener is a process of its own, which may be killed at any step; otherwise capture is immediate
 *   KEYED         the target's key is X, so that it holds X in one scope at most (otherwise in each separately)
 *   BACKFILL      X is in A before the stream starts, the target is empty, and a backfill runs
 *   REVEALING     the view shows X in a scope only while the second source says so there; X is in A from the start,
 *                 but not shown, or could not be stored: it is in legacy, not in the target, and has no event to come
 *   LODGING       (KEYED) X may be stored in a scope only while the second source says so there (its parent row); until then
 *                 it stays where the target has it, and the scope is in quarantine
 *   SLICES        a merge of two scopes may be done in two transactions
 *   ROW_CHANGES, OTHER_CHANGES, REDELIVERIES, CRASHES   how often each may happen
 * Every other name in an #ifdef takes one rule away. test/model/check.sh runs the worlds and the removals.
 */

#ifndef ROW_CHANGES
#define ROW_CHANGES 3
#endif
#ifndef OTHER_CHANGES
#define OTHER_CHANGES 1
#endif
#ifndef REDELIVERIES
#define REDELIVERIES 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#define EVENTS (ROW_CHANGES + OTHER_CHANGES)
#ifdef LISTENER
#define MESSAGES (2 * EVENTS)
#else
#define MESSAGES EVENTS
#endif

/* Places of X, and scopes. A set of scopes is the sum of its bits. */
#define GONE 0
#define A 1
#define B 2
#define BOTH 3
#define IN(set, scope) ((set) & (scope))
#define NAME(scope) ((scope) == A -> 'A' : ((scope) == B -> 'B' : '-'))

/* ---- Legacy, as committed ---- */
byte place;                  /* where X is */
byte version;                /* how often X was changed: what a stale copy of X differs in */
bool other[3];               /* the second source's value for each scope */
bool writesLocked;           /* the cutover's lock against writes; afterwards the write guards */

/* What the view says of X in a scope: 0 when it has no row there. */
#if defined(REVEALING)
#define SHOWN_IN (place && other[place] -> place : GONE)
#define VIEW(scope) (SHOWN_IN == (scope) -> 1 + version : 0)
#else
#define SHOWN_IN place
#define VIEW(scope) (place == (scope) -> 1 + 2 * version + other[scope] : 0)
#endif

/* ---- The target, as committed: X in each scope, 0 when absent ---- */
byte target[3];
#define BY_APPLICATION 99
#define HELD_IN (target[A] -> A : (target[B] -> B : GONE))

/* ---- WAL: what each event carries ---- */
#define OTHER_SOURCE 4       /* added to the scope for an event of the second source */
byte wal[EVENTS];            /* GONE, A or B: the routing value that the change of X wrote (a delete carries none) */
byte committed;

/* ---- Ledger and queue, by message: its event's number, plus EVENTS in the listener's second life ---- */
bool ledger[MESSAGES];
bool queue[MESSAGES];
#ifdef SAME_IDS
bool accepted[MESSAGES];     /* SQS drops what it has accepted under the same deduplication id */
#endif
byte confirmed;
#ifdef LISTENER
byte visible;                /* how many of the committed changes a snapshot sees */
#define VISIBLE visible
#else
#define VISIBLE committed
#endif
byte unfinished;             /* how many entries the ledger has */

/* ---- Advisory locks of PostgreSQL ---- */
byte directionShared;
#ifdef BACKFILL
byte targetShared;
bool targetExclusive, backfilled;
#else
#define backfilled true
#endif
bool rowLocked;
bool scopeLocked[3];

bool turned;                 /* the phase: false forward, true reverse */
bool applicationDone;
byte redeliveries = REDELIVERIES;
byte crashes = CRASHES;

inline enter(id) { unfinished = unfinished + !ledger[id]; ledger[id] = true }
inline strike(id) { unfinished = unfinished - ledger[id]; ledger[id] = false }

inline log(carried) { wal[committed] = carried; committed++ }

inline becomeVisible() {
#ifdef LISTENER
  visible++
#else
  enter(committed - 1); queue[committed - 1] = true; confirmed++
#endif
}

proctype Application() {
  byte to;
  do
  :: atomic {
       version < ROW_CHANGES && !writesLocked ->
       if
       :: place != GONE -> to = GONE
       :: place != A -> to = A
       :: place != B -> to = B
       :: place != GONE -> to = place              /* another column changes: X stays where it is */
       fi;
       log(to);
#ifdef LISTENER
     }
     atomic {                                       /* it was in the WAL, and may have been read there, before anyone sees it */
#endif
       place = to; version++; becomeVisible();
       printf("application: event %d: X is now in %c (version %d)\n", committed, NAME(place), version);
       to = 0
     }
  :: atomic {
       committed - version < OTHER_CHANGES && !writesLocked ->
       if :: to = A :: to = B fi;
       log(OTHER_SOURCE + to);
#ifdef LISTENER
     }
     atomic {
#endif
       other[to] = !other[to]; becomeVisible();
       printf("application: event %d: the second source changes scope %c\n", committed, NAME(to));
       to = 0
     }
  :: atomic {
       turned ->                                    /* its flags have turned: it writes the target now */
       target[A] = BY_APPLICATION; target[B] = 0;
       applicationDone = true;
       printf("application: writes the target\n");
       break
     }
  od
}

#ifdef LISTENER
/* Reads the WAL. Entering, sending and confirming overlap freely, as the rounds of the listener do. */
inline send() {
#ifdef SAME_IDS
  queue[ids + sent] = queue[ids + sent] || !accepted[ids + sent];
  accepted[ids + sent] = true;
#else
  queue[ids + sent] = true;
#endif
  sent++;
  printf("listener: sends event %d\n", sent)
}

proctype Listener() {
  byte entered, sent, i;
  byte ids;                                         /* the first id of this life: another one for each */
  bool secondLife;
#ifdef NO_EPOCH
  byte formerLife;                                  /* one more than the event that it was about to enter; 0: it is dead */
#endif
  do
#ifdef SEND_BEFORE_LEDGER
  :: atomic { sent < VISIBLE -> send() }
  :: atomic { entered < sent -> enter(ids + entered); entered++; printf("listener: enters event %d\n", entered) }
  :: atomic { confirmed < entered -> confirmed++; printf("listener: confirms event %d\n", confirmed) }
#else
  :: atomic { entered < committed -> enter(ids + entered); entered++; printf("listener: enters event %d\n", entered) }
#ifdef SENT_BEFORE_VISIBLE
  :: atomic { sent < entered -> send() }
#else
  :: atomic { sent < entered && sent < VISIBLE -> send() }
#endif
#ifdef CONFIRM_BEFORE_SEND
  :: atomic { confirmed < entered -> confirmed++; printf("listener: confirms event %d\n", confirmed) }
#else
  :: atomic { confirmed < sent -> confirmed++; printf("listener: confirms event %d\n", confirmed) }
#endif
#endif
  :: atomic {                                       /* killed; starts again at the confirmed position */
       !secondLife && !turned ->
       secondLife = true;
#ifndef SAME_IDS
       ids = EVENTS;
#endif
#ifdef NO_EPOCH
       if :: entered < committed -> formerLife = entered + 1 :: true fi;
#endif
       entered = confirmed; sent = confirmed;
#ifndef NO_FORGET
       i = confirmed;
       do :: i < EVENTS -> strike(i); i++ :: else -> break od;
       i = 0;
#endif
       printf("listener: killed; starts again after event %d\n", confirmed)
     }
#ifdef NO_EPOCH
  :: atomic { formerLife > 0 -> enter(formerLife - 1); printf("listener: its former life enters event %d, then dies\n", formerLife); formerLife = 0 }
#endif
  :: atomic { turned -> break }
  od
}
#endif

/* ---- The merge's transaction ---- */

/* COMMIT and ROLLBACK both let go of every lock. */
inline unlockAll() {
#ifndef NO_SCOPE_LOCKS
  if :: IN(scopes, A) -> scopeLocked[A] = false :: else fi;
  if :: IN(scopes, B) -> scopeLocked[B] = false :: else fi;
#endif
  if :: rowMine -> rowLocked = false; rowMine = false :: else fi;
#if defined(BACKFILL) && !defined(NO_TARGET_LOCK)
  targetShared--;
#endif
#if !defined(NO_FENCE) && !defined(FENCE_NOT_HELD)
  directionShared--;
#endif
  derived = 0; derivedIn = 0; heldIn = 0; elsewhere = false; stray = false; arrived = false; ready = false
}

inline handBack() { message = 0; isRow = false; carried = 0; scopes = 0; rest = 0; later = false }

/* 1. Fence. The phase is read by a statement after the one that took the lock, so what it says stays true. */
#ifdef NO_FENCE
#define STOPPED false
#else
#define STOPPED turned
#endif

inline fence() {
#if !defined(NO_FENCE) && !defined(FENCE_NOT_HELD)
  directionShared++;
#endif
  skip
}

#if defined(BACKFILL) && !defined(NO_TARGET_LOCK)
#define TARGET_FREE (!targetExclusive)
#else
#define TARGET_FREE true
#endif

inline lockTarget() {
#if defined(BACKFILL) && !defined(NO_TARGET_LOCK)
  targetShared++;
#endif
  skip
}

/* 2. The row's lock: what one row asks for is done one after the other. */
#if defined(NO_ROW_LOCK)
#define LOCKS_ROW false
#elif defined(ROW_LOCK_ONLY_FIRST)
#define LOCKS_ROW (isRow && !later)
#else
#define LOCKS_ROW isRow
#endif

inline lockRow() {
  if :: LOCKS_ROW -> rowLocked = true; rowMine = true :: else fi
}

/* 3. Resolve: one statement. */
inline resolve() {
  scopes = 0;
  if
  :: !isRow -> scopes = carried
  :: else ->
#ifndef NO_ROUTING
     scopes = scopes | carried;
#endif
#ifndef NO_LOOK_AT_SOURCE
     scopes = scopes | place;
#endif
#ifndef NO_LOOK_AT_TARGET
     scopes = scopes | (target[A] -> A : 0) | (target[B] -> B : 0);
#endif
     skip
  fi;
#ifdef SLICES
  if
  :: scopes == BOTH -> if :: scopes = A; rest = B :: scopes = B; rest = A :: true fi
  :: else
  fi;
#endif
  printf("applier %d: resolves to scopes %c%c%c\n", _pid, NAME(IN(scopes, A)), NAME(IN(scopes, B)), (rest -> '+' : ' '))
}

/* 5. Derive: what the view says, and where the target held X, in one snapshot. */
inline derive() {
  derivedIn = (SHOWN_IN & scopes);
  derived = (derivedIn -> VIEW(derivedIn) : 0);
#ifdef KEYED
  heldIn = HELD_IN;
  elsewhere = (SHOWN_IN != GONE && !derivedIn);
#ifdef LODGING
  ready = !derivedIn || other[derivedIn];
#endif
#endif
  printf("applier %d: derives version %d: X in %c\n", _pid, version, NAME(derivedIn))
}

#ifdef LODGING
#define READY ready
#else
#define READY true
#endif

/* 6. Write, in the same step as the commit: before, nobody sees it, and who writes the same key waits for it. */
inline write() {
#ifdef KEYED
  if
#ifdef LODGING
  :: !ready -> printf("applier %d: X cannot be stored in %c yet\n", _pid, NAME(derivedIn))
#endif
  :: READY && derivedIn == GONE ->
     /* The view lacks X in these scopes. A row that others reference is left when the view has it elsewhere: its
        own event moves it. Both ways must hold. */
     if
     :: IN(heldIn, scopes) && heldIn == HELD_IN -> target[heldIn] = 0
     :: elsewhere
     :: !IN(heldIn, scopes) || heldIn != HELD_IN
     fi
  :: READY && derivedIn != GONE && heldIn == GONE ->
     /* INSERT … ON CONFLICT DO NOTHING: someone may have inserted X since the snapshot, under another scope. */
     if
     :: HELD_IN == GONE -> target[derivedIn] = derived; arrived = true
     :: else ->
        printf("applier %d: X was inserted by another meanwhile\n", _pid);
#if defined(STRAY_OVERWRITTEN)
        target[A] = 0; target[B] = 0; target[derivedIn] = derived
#elif !defined(CONFLICT_IGNORED)
        stray = true
#endif
     fi
  :: READY && derivedIn != GONE && heldIn != GONE ->
     if
     :: IN(heldIn, scopes) ->
#ifndef MOVES_NOT_REPEATED
        arrived = (heldIn != derivedIn);
#endif
        target[heldIn] = 0; target[derivedIn] = derived
     :: else ->
#if defined(STRAY_OVERWRITTEN)
        target[A] = 0; target[B] = 0; target[derivedIn] = derived
#elif !defined(STRAY_LEFT)
        stray = true
#endif
     fi
  fi
#else
  arrived = (derivedIn && !target[derivedIn]);
  if :: IN(scopes, A) -> target[A] = (derivedIn == A -> derived : 0) :: else fi;
  if :: IN(scopes, B) -> target[B] = (derivedIn == B -> derived : 0) :: else fi
#endif
}

proctype Applier() {
  byte message;              /* in hand */
  bool isRow;
  byte carried;              /* the scope it names: the routing value, or the second source's scope */
  byte scopes, rest;         /* merged by this transaction, and by the next */
  byte derived, derivedIn, heldIn;
  bool elsewhere, stray, arrived, ready, later, rowMine;

take:
  atomic {
    if
    :: queue[0] -> message = 0
#if MESSAGES > 1
    :: queue[1] -> message = 1
#endif
#if MESSAGES > 2
    :: queue[2] -> message = 2
#endif
#if MESSAGES > 3
    :: queue[3] -> message = 3
#endif
#if MESSAGES > 4
    :: queue[4] -> message = 4
#endif
#if MESSAGES > 5
    :: queue[5] -> message = 5
#endif
#if MESSAGES > 6
    :: queue[6] -> message = 6
#endif
#if MESSAGES > 7
    :: queue[7] -> message = 7
#endif
    :: applicationDone -> goto end
    fi;
    /* At least once: the message may come again, at any later time. */
    if
    :: queue[message] = false
    :: redeliveries > 0 -> redeliveries--; printf("queue: event %d will come again\n", message % EVENTS + 1)
    fi;
    printf("applier %d: takes event %d\n", _pid, message % EVENTS + 1);
    carried = wal[message % EVENTS];
    isRow = carried < OTHER_SOURCE;
    carried = carried & BOTH;
    if
    :: STOPPED -> printf("applier %d: stopped by the fence\n", _pid); handBack(); goto take
    :: else
    fi;
    /* Not in the ledger: a duplicate is skipped; a message that the listener forgets while it is in hand is not. */
    if
    :: !ledger[message] -> printf("applier %d: it is not in the ledger\n", _pid); handBack(); goto take
#ifdef LISTENER
    :: ledger[message]
#else
    :: true
#endif
    fi;
#ifdef LEDGER_STRUCK_FIRST
    strike(message);
#endif
    skip
  }

transaction:
  atomic {
#ifndef TARGET_LOCK_AFTER_RESOLVE
    TARGET_FREE ->
#endif
    if
    :: STOPPED -> printf("applier %d: stopped by the fence\n", _pid); handBack(); goto take
    :: else -> fence()
    fi;
#ifndef TARGET_LOCK_AFTER_RESOLVE
    lockTarget()
#endif
  }
#ifdef RESOLVE_BEFORE_LOCK
  atomic { if :: !later -> resolve() :: else fi }
#endif
  atomic {
    !LOCKS_ROW || !rowLocked ->
    lockRow();
#ifndef RESOLVE_BEFORE_LOCK
    if :: !later -> resolve() :: else fi
#endif
  }
#ifdef TARGET_LOCK_AFTER_RESOLVE
  atomic { TARGET_FREE -> lockTarget() }
#endif
#ifdef DERIVE_BEFORE_LOCK
  derive();
#endif
  /* 4. Locks of the scopes, in one order everywhere. */
#ifndef NO_SCOPE_LOCKS
  if
  :: atomic { scopes == BOTH && !scopeLocked[A] -> scopeLocked[A] = true }
  :: scopes != BOTH
  fi;
#endif
  atomic {
#ifndef NO_SCOPE_LOCKS
    if
    :: scopes == A && !scopeLocked[A] -> scopeLocked[A] = true
    :: IN(scopes, B) && !scopeLocked[B] -> scopeLocked[B] = true
    :: scopes == 0
    fi;
#endif
#ifndef DERIVE_BEFORE_LOCK
    derive()
#endif
  }
  atomic {
    if
    :: crashes > 0 ->
       printf("applier %d: killed before its commit\n", _pid);
       crashes--; queue[message] = true; unlockAll(); handBack();
       goto take
    :: true
    fi;
    write();
    if
    :: stray ->
       printf("applier %d: X is held under a scope that is not locked: both must be merged\n", _pid);
       unlockAll(); scopes = BOTH; rest = 0; later = true
    :: !stray && rest != 0 ->
       printf("applier %d: commits the first slice: target has A %d, B %d\n", _pid, target[A], target[B]);
       unlockAll(); scopes = rest; rest = 0; later = true
#ifndef NO_SECOND_PASS
    /* 8. Without X's lock it has put X where the target did not have it: a change of X whose merge looked there too early
       has not found it. Once more, then, now that everyone can find it. */
    :: !stray && rest == 0 && arrived && !isRow ->
       printf("applier %d: commits, to merge once more: target has A %d, B %d\n", _pid, target[A], target[B]);
       rest = scopes; unlockAll(); scopes = rest; rest = 0; later = true
    :: !stray && rest == 0 && (!arrived || isRow) ->
#else
    :: !stray && rest == 0 ->
#endif
       printf("applier %d: commits event %d: target has A %d, B %d\n", _pid, message % EVENTS + 1, target[A], target[B]);
       strike(message); unlockAll(); handBack();
       goto take
    fi
  }
  goto transaction;
end:
  skip
}

#ifdef BACKFILL
/* Chunk by chunk (here one scope each), holding the target's lock exclusively. */
proctype Backfill() {
  byte scopes = A, derivedIn, derived;
chunk:
  atomic {
    !targetExclusive && targetShared == 0 ->
#ifdef NO_TARGET_LOCK
    !scopeLocked[scopes] -> scopeLocked[scopes] = true;
#else
    targetExclusive = true;
#endif
    directionShared++;
    derivedIn = (SHOWN_IN & scopes);
    derived = (derivedIn -> VIEW(derivedIn) : 0);
    printf("backfill: chunk %c derives version %d: X in %c\n", NAME(scopes), version, NAME(derivedIn))
  }
  atomic {
#ifdef KEYED
    if
    :: derivedIn == GONE -> if :: IN(HELD_IN, scopes) -> target[scopes] = 0 :: else fi
    :: derivedIn != GONE && HELD_IN == GONE -> target[derivedIn] = derived
    :: derivedIn != GONE && HELD_IN == derivedIn -> target[derivedIn] = derived
    :: derivedIn != GONE && HELD_IN == BOTH - derivedIn ->
       /* A stray. Everyone else is locked out, so that both scopes can be derived again at once. */
       target[A] = VIEW(A); target[B] = VIEW(B)
    fi;
#else
    target[scopes] = derived;
#endif
#ifdef NO_TARGET_LOCK
    scopeLocked[scopes] = false;
#else
    targetExclusive = false;
#endif
    directionShared--;
    derived = 0; derivedIn = 0;
    printf("backfill: commits: target has A %d, B %d\n", target[A], target[B]);
    if :: scopes == A -> scopes = B; goto chunk :: else -> scopes = 0; backfilled = true fi
  }
}
#endif

#ifdef LODGING
#define QUARANTINE_EMPTY (place == GONE || other[place])
#else
#define QUARANTINE_EMPTY true
#endif

proctype Cutover() {
#ifndef NO_WRITE_LOCK
  atomic { VISIBLE == committed -> writesLocked = true; printf("cutover: locks legacy against writes\n") }
#endif
#ifndef NO_DRAIN
  atomic {
    confirmed == committed && unfinished == 0 && backfilled ->
    printf("cutover: everything is captured, and the ledger is empty\n")
  }
#endif
  atomic {
    directionShared == 0 && VISIBLE == committed ->
    writesLocked = true;
    printf("cutover: target has A %d, B %d; the view says A %d, B %d\n", target[A], target[B], VIEW(A), VIEW(B));
    assert(!QUARANTINE_EMPTY || target[A] == VIEW(A));
    assert(!QUARANTINE_EMPTY || target[B] == VIEW(B));
    turned = true;
    printf("cutover: turns\n")
  }
}

/* When everything has come to rest, the target is what the application has written since the cutover. */
init {
  atomic {
#ifdef BACKFILL
    place = A;
    run Backfill();
#endif
#ifdef REVEALING
    place = A;
#endif
#ifdef LODGING
    place = A; other[A] = true; target[A] = VIEW(A);
#endif
#ifdef LISTENER
    run Listener();
#endif
    run Application(); run Applier(); run Applier(); run Cutover()
  }
  (_nr_pr == 1);
  assert(target[A] == BY_APPLICATION && target[B] == 0)
}
