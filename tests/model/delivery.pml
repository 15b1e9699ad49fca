/* SPDX-License-Identifier: MIT */
/* The delivery protocol in small, for spin: every order of steps, every placing of a few faults.
 *
 *   client ──▶ gateway ──submit──▶ broker ──work[w]──▶ worker 0, 1 ──▶ store
 *               │   ▲                │ ▲                    │
 *              log  └────verdict─────┘ └───────done[w]──────┘
 *
 * One PCS, submitted up to SUBMISSIONS times (first try, retries after a 503 or a lost connection, duplicates on purpose).
 *
 *   here                              there
 *   rec, ack, next_lsn, Gateway       common/wal*.c: append, group commit, recovery; gateway/arrive.c, brokers.c
 *   table, Record                     gateway/relay.c (deadline), inflight.c, settle.c, redrive.c
 *   dlq, burying                      gateway/dlq_put.c, dlq.c
 *   submit, verdict, link_lost        proto/link.c, uplink.c: connection, HELLO/WELCOME, sending again
 *   holder, losses, stale_route       broker/delivery.h, frontend.c, backend.c
 *   Delivery, gone                    broker/dispatch.c: hand out, lost worker, dead letter
 *   Worker                            worker/batch.c, verify.c: look up, judge, put if absent, settle
 *   store                             worker/store/store.h
 *
 * Faults: any FAULTS of these, anywhere, in any mixture.
 *   gateway crash   memory is gone, the synced log stays, of the un-synced tail any first part; acks are lazy, so any of them
 *   broker crash    everything it knew and what is under way between it and the gateway
 *   worker crash    its job, before or after its put; its earlier answers may still arrive
 *   worker taken for dead   its delivery goes to the other one, then it answers after all
 *   link cut        what is under way is lost, both ends learn of it. ZeroMQ loses in no other way
 *   message twice   a SUBMIT, or an answer to the gateway
 *   store failing   before a put, or after one that took place
 *   relay forgets   a record that nobody waits for (make_room)
 * Beside these, with POISON, each worker that takes the PCS dies. The two workers judge by different policies (a reload
 * reached only one), so that a second verdict would differ from the first.
 *
 * Properties
 *   P1  Nothing accepted is lost. Whoever was answered 200 or 202, or whose record is acked, has an outcome in the store
 *       or in the synced dead-letter log for ever (ltl p1); the record was synced before the answer (assert).
 *   P2  One outcome per pcs_id, which every answer repeats (assert). Dead-letter answers are no outcomes; see LIMIT_ONE_ANSWER.
 *   P3  When the faults have stopped, each synced record is acked with an outcome or a dead letter, and no client waits
 *       (ltl p3). No fairness is assumed: there is no way to run for ever without getting there.
 *   P4  The duplicate flag is exact: set if and only if the outcome is that of another submission (assert); for a dead
 *       letter: never because of the submission itself.
 *
 *   LIMIT_ONE_ANSWER: a PCS may have an outcome and be a dead letter. A worker puts the outcome and is lost before it tells,
 *       and so is each one after it: 202 dead_letter, though the store says 200. Or its duplicate is the one given up.
 *
 * MUT_*: faults planted into the protocol; spin must refute each. LIMIT_*: stronger properties that the protocol does not
 * have; spin must refute these as well, else this text is out of date. The script `run` knows all of them.
 *
 * Left out: credit and BUSY (like UNAVAILABLE here), several brokers (like a cut link), isolation of suspects (needs two
 * PCS), failed syncs, damage on disk, TTL. */

#ifndef SUBMISSIONS
#define SUBMISSIONS 2 /* LSNs are 1 to this */
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#define DEAD_LOSSES 2 /* 5 there */

mtype = { VERDICT, UNAVAILABLE, DEAD_LETTER };

/* An outcome names its origin and the worker that judged; 0 is none. */
#define OUTCOME(submission, w) (2 * (submission) + (w))
#define ORIGIN(outcome) ((outcome) / 2)

byte faults_left = FAULTS;
#ifdef POISON
#define poison true
#else
#define poison false
#endif

/* ---- the disks ---- */

#define ABSENT 0
#define WRITTEN 1 /* not synced: a crash may take it */
#define SYNCED 2
byte rec[SUBMISSIONS + 1]; /* by LSN, from 1 */
bit ack[SUBMISSIONS + 1];
byte who[SUBMISSIONS + 1];                       /* which submission the record is */
byte next_lsn = 1;
byte dlq;
byte store;       /* outcome */
byte store_lsn;   /* the origin as the worker sees it: log id and LSN */

/* ---- what the checks remember ---- */

byte submission;  /* number of the last one */
byte first;       /* the outcome that was put first */
byte dead;        /* the submission that was buried first */
bit promised;     /* somebody was answered 200 or 202 */

/* ---- memory of the parties ---- */

byte client_at; /* the LSN that the client waits for; 0: none */

#define OUT 0
#define ARRIVING 1 /* at the door, its sync is awaited */
#define PENDING 2
#define SENT 3
byte table[SUBMISSIONS + 1];
bit burying[SUBMISSIONS + 1];
bit link_lost; /* until the gateway has its WELCOME */

#define NOWHERE 0
#define WAITING 1
#define HAND(w) (2 + (w))
byte holder[SUBMISSIONS + 1];
byte losses[SUBMISSIONS + 1];
bit stale_route[SUBMISSIONS + 1]; /* its answer would go to a connection that is no more */
byte content[SUBMISSIONS + 1];
bit gone[2]; /* workers: connection lost, the broker has yet to see it */

/* ---- under way ---- */

chan submit = [2] of { byte, byte };             /* LSN, submission */
chan verdict = [2] of { mtype, byte, byte, bit }; /* kind, LSN, outcome, duplicate */
chan work[2] = [1] of { byte, byte };
chan done[2] = [1] of { mtype, byte, byte, bit };

#define kept (store != 0 || dlq == SYNCED)
#define settled(lsn) (rec[lsn] == ABSENT || (ack[lsn] && kept))

#define all_settled (settled(1) && settled(SUBMISSIONS)) /* SUBMISSIONS: 1 or 2 */
#define any_acked (ack[1] || ack[SUBMISSIONS])

ltl p1 { [] ((promised || any_acked) -> kept) }
ltl p3 { <> [] (all_settled && client_at == 0) }

#define may_fail faults_left > 0
inline fault() {
    faults_left--
}

/* ---- connections ---- */

inline flush(channel) {
    do
    :: nempty(channel) -> channel?_, _
    :: empty(channel) -> break
    od
}

inline flush_answers(channel) {
    do
    :: nempty(channel) -> channel?_, _, _, _
    :: empty(channel) -> break
    od
}

inline cut_gateway_link() {
    flush(submit);
    flush_answers(verdict);
    for (i : 1 .. SUBMISSIONS) {
        stale_route[i] = (holder[i] != NOWHERE)
    }
    link_lost = 1
}

/* ---- gateway ---- */

inline answer(lsn, outcome, duplicate) {
    if
    :: client_at == lsn ->
        assert(rec[lsn] == SYNCED);                          /* P1 */
        assert(outcome == first && store == first);          /* P2 */
        assert(duplicate == (ORIGIN(outcome) != submission)); /* P4 */
        promised = 1;
        client_at = 0
    :: else
    fi
}

inline answer_dead_letter(lsn, duplicate) {
    if
    :: client_at == lsn ->
        assert(rec[lsn] == SYNCED);                    /* P1 */
        assert(!duplicate || dead != submission);      /* P4 */
#ifdef LIMIT_ONE_ANSWER
        assert(store == 0); /* that a dead letter excludes an outcome */
#endif
        promised = 1;
        client_at = 0
    :: else
    fi
}

inline answer_503(lsn) {
    if
    :: client_at == lsn -> client_at = 0
    :: else
    fi
}

inline arrive(lsn) {
    if
    :: dlq == SYNCED ->
        table[lsn] = OUT;
        ack[lsn] = 1;
        answer_dead_letter(lsn, 1)
    :: else -> table[lsn] = PENDING
    fi
}

inline bury(lsn) {
    table[lsn] = OUT;
    if
    :: dlq == ABSENT -> dlq = WRITTEN; dead = who[lsn]
    :: else
    fi;
#ifdef MUT_BURY_BEFORE_SYNC
    ack[lsn] = 1;
    answer_dead_letter(lsn, 0)
#else
    burying[lsn] = 1
#endif
}

inline take_verdict(lsn) {
    if
    :: table[lsn] != PENDING && table[lsn] != SENT /* stale */
    :: else ->
        if
        :: kind == VERDICT ->
            table[lsn] = OUT;
            ack[lsn] = 1;
            answer(lsn, outcome, duplicate)
        :: kind == DEAD_LETTER -> bury(lsn)
        :: kind == UNAVAILABLE ->
            table[lsn] = OUT;
#ifdef MUT_ACK_UNAVAILABLE
            ack[lsn] = 1;
#endif
            answer_503(lsn)
        fi
    fi
}

/* One fdatasync for all that is in the log. */
inline group_commit() {
    for (i : 1 .. SUBMISSIONS) {
        if
        :: rec[i] == WRITTEN -> rec[i] = SYNCED
        :: else
        fi;
        if
        :: table[i] == ARRIVING -> arrive(i)
        :: else
        fi
    }
}

inline crash_gateway() {
    client_at = 0; /* its connection is gone, too */
    do
    :: next_lsn > 1 && rec[next_lsn - 1] == WRITTEN -> /* torn tail: the LSN is used again */
        next_lsn--;
        rec[next_lsn] = ABSENT;
        who[next_lsn] = 0
    :: break
    od;
    for (i : 1 .. SUBMISSIONS) {
        table[i] = OUT;
        burying[i] = 0;
        if
        :: ack[i] -> ack[i] = 0
        :: true
        fi;
#ifndef MUT_NO_SYNC_AT_OPEN
        if
        :: rec[i] == WRITTEN -> rec[i] = SYNCED /* recovery syncs what it found */
        :: else
        fi
#endif
    }
    if
    :: dlq == WRITTEN -> dlq = ABSENT; dead = 0
    :: dlq == WRITTEN -> dlq = SYNCED
    :: dlq != WRITTEN
    fi;
    cut_gateway_link();
    link_lost = 0 /* a new connection, with nothing on it */
}

active proctype Client() {
    byte left = SUBMISSIONS;
end:
    do
    :: atomic {
        left > 0 && client_at == 0 ->
        left--;
        submission++;
        client_at = next_lsn;
        rec[next_lsn] = WRITTEN;
        who[next_lsn] = submission;
#if defined(MUT_ANSWER_BEFORE_SYNC)
        arrive(next_lsn);
#else
        table[next_lsn] = ARRIVING;
#endif
        next_lsn++
    }
    :: atomic { left > 0 && client_at == 0 -> left = 0 } /* content, or gave up */
    od
}

active proctype Gateway() {
    mtype kind;
    byte i, lsn, outcome;
    bit duplicate;
end:
    do
    :: atomic {
        rec[1] == WRITTEN || rec[SUBMISSIONS] == WRITTEN ->
        group_commit();
        i = 0
    }
    :: atomic { dlq == WRITTEN -> dlq = SYNCED }
    :: atomic {
        verdict?kind, lsn, outcome, duplicate ->
        take_verdict(lsn);
        kind = 0; lsn = 0; outcome = 0; duplicate = 0
    }
    :: atomic {
        link_lost ->
#ifndef MUT_NO_RESEND
        for (i : 1 .. SUBMISSIONS) {
            if
            :: table[i] == SENT -> table[i] = PENDING
            :: else
            fi
        }
#endif
        link_lost = 0;
        i = 0
    }
    :: atomic { may_fail -> fault(); crash_gateway(); i = 0 }
    :: atomic { may_fail -> fault(); cut_gateway_link(); i = 0 }
    od
}

/* What the gateway may do for one record. */
proctype Record(byte lsn) {
end:
    do
    :: atomic {
        table[lsn] == PENDING && !link_lost && nfull(submit) ->
        submit!lsn, who[lsn];
#ifdef MUT_ACK_BEFORE_VERDICT
        ack[lsn] = 1;
#endif
        table[lsn] = SENT
    }
    :: atomic { burying[lsn] && dlq == SYNCED -> burying[lsn] = 0; ack[lsn] = 1; answer_dead_letter(lsn, 0) }
    :: atomic { client_at == lsn -> client_at = 0 } /* the deadline: 503, the record goes on */
    :: atomic {
        may_fail && (table[lsn] == PENDING || table[lsn] == SENT) && client_at != lsn -> fault(); table[lsn] = OUT
    } /* make_room */
#ifndef MUT_NO_REDRIVE
    :: atomic {
        table[lsn] == OUT && !ack[lsn] &&
#ifndef MUT_REDRIVE_BURYING
            !burying[lsn] &&
#endif
#ifdef MUT_NO_SYNC_AT_OPEN
            rec[lsn] != ABSENT ->
#else
            rec[lsn] == SYNCED ->
#endif
        arrive(lsn)
    }
#endif
    od
}

/* ---- broker ---- */

inline send_answer(kind, lsn, outcome, duplicate) {
    if
    :: !stale_route[lsn] -> verdict!kind, lsn, outcome, duplicate
    :: else
    fi
}

inline forget_delivery(lsn) {
    holder[lsn] = NOWHERE;
    losses[lsn] = 0;
    stale_route[lsn] = 0;
    content[lsn] = 0
}

inline take_answer(w) {
    if
    :: holder[lsn] == NOWHERE                              /* stale */
    :: holder[lsn] != NOWHERE && kind == UNAVAILABLE && holder[lsn] != HAND(w) /* somebody else may yet do better */
    :: else ->
        send_answer(kind, lsn, outcome, duplicate);
        forget_delivery(lsn)
    fi;
    kind = 0; lsn = 0; outcome = 0; duplicate = 0
}

active proctype Broker() {
    mtype kind;
    byte i, lsn, content_now, outcome;
    bit duplicate;
end:
    do
    :: atomic {
        submit?lsn, content_now ->
        if
        :: holder[lsn] == NOWHERE -> holder[lsn] = WAITING; content[lsn] = content_now
        :: else /* held already: only the way back changes */
        fi;
#ifndef MUT_OLD_ROUTE
        stale_route[lsn] = 0;
#endif
        lsn = 0; content_now = 0
    }
    :: atomic { nfull(verdict) && nempty(done[0]) -> done[0]?kind, lsn, outcome, duplicate; take_answer(0) }
    :: atomic { nfull(verdict) && nempty(done[1]) -> done[1]?kind, lsn, outcome, duplicate; take_answer(1) }
    :: atomic {
        may_fail ->
        fault();
        cut_gateway_link();
        for (i : 1 .. SUBMISSIONS) {
            forget_delivery(i)
        }
        i = 0
    }
    od
}

/* Workers are alike: the first that is free will do. */
#define has_room(w) (!gone[w] && empty(work[w]) && empty(done[w]))

/* What the broker may do for one delivery. */
proctype Delivery(byte lsn) {
    byte w;
end:
    do
    :: atomic {
        holder[lsn] == WAITING && (has_room(0) || has_room(1)) ->
        if
        :: has_room(0) -> w = 0
        :: else -> w = 1
        fi;
        work[w]!lsn, content[lsn];
        holder[lsn] = HAND(w);
        w = 0
    }
#ifndef MUT_FORGET_LOST_WORKER
    :: atomic {
        nfull(verdict) && ((holder[lsn] == HAND(0) && gone[0]) || (holder[lsn] == HAND(1) && gone[1])) ->
        losses[lsn]++;
        if
#ifndef MUT_NO_DEAD_LETTER
        :: losses[lsn] == DEAD_LOSSES -> send_answer(DEAD_LETTER, lsn, 0, 0); forget_delivery(lsn)
        :: losses[lsn] < DEAD_LOSSES -> holder[lsn] = WAITING
#else
        :: true -> losses[lsn] = 0; holder[lsn] = WAITING
#endif
        fi
    }
#endif
    od
}

/* ---- worker ---- */

inline lose_worker() {
    flush(work[w]);
    gone[w] = 1;
    lsn = 0;
    from = 0
}

inline tell_found() {
#ifdef MUT_NO_ORIGIN
    done[w]!VERDICT, lsn, store, 1
#else
    done[w]!VERDICT, lsn, store, (store_lsn != lsn)
#endif
}

/* First write wins; the others get what it wrote. */
#ifdef MUT_OVERWRITE
#define may_put true
#else
#define may_put (store == 0)
#endif
inline put() {
    store = OUTCOME(from, w);
    store_lsn = lsn;
    if
    :: first == 0 -> first = store
    :: else
    fi
}

inline put_if_absent() {
    if
    :: may_put -> put()
    :: else
    fi
}

proctype Worker(byte w) {
    byte lsn, from;
end:
    do
    :: atomic { gone[w] && holder[1] != HAND(w) && holder[SUBMISSIONS] != HAND(w) -> gone[w] = 0 } /* READY */
    :: atomic { may_fail && !gone[w] -> fault(); gone[w] = 1 }                                      /* taken for dead */
    :: atomic {
        nempty(work[w]) && empty(done[w]) ->
        work[w]?lsn, from;
        if
        :: poison -> lose_worker(); goto end
        :: !poison && store != 0 -> tell_found(); lsn = 0; from = 0; goto end
        :: may_fail -> fault(); done[w]!UNAVAILABLE, lsn, 0, 0; lsn = 0; from = 0; goto end
        :: !poison && store == 0 /* judged; now others may put before it does */
        fi
    };
        if
        :: atomic { may_put -> put(); done[w]!VERDICT, lsn, store, 0; lsn = 0; from = 0 }
        :: atomic { !may_put -> tell_found(); lsn = 0; from = 0 }
        :: atomic { may_fail -> fault(); put_if_absent(); done[w]!UNAVAILABLE, lsn, 0, 0; lsn = 0; from = 0 }
        :: atomic { may_fail -> fault(); put_if_absent(); lose_worker() }
        :: atomic { may_fail -> fault(); lose_worker() }
        fi
    od
}

/* ---- the rest of the world ---- */

active proctype World() {
    byte a, b, c;
    bit d;
    mtype k;
end:
    do
    :: atomic { may_fail && nempty(submit) && nfull(submit) -> fault(); submit?<a, b>; submit!a, b; a = 0; b = 0 }
    :: atomic {
        may_fail && nempty(verdict) && nfull(verdict) ->
        fault();
        verdict?<k, a, b, d>;
        verdict!k, a, b, d;
        k = 0; a = 0; b = 0; d = 0
    }
    od
}

init {
    atomic {
        byte n;
        for (n : 1 .. SUBMISSIONS) {
            run Record(n);
            run Delivery(n)
        }
        run Worker(0);
        run Worker(1);
        n = 0
    }
}
