/* SPDX-License-Identifier: MIT */
/* Every setting of every program. A program reads only those that name it. */
#ifndef FLK_COMMON_PROGRAM_SETTINGS_TABLE_H
#define FLK_COMMON_PROGRAM_SETTINGS_TABLE_H

/* G gateway, B broker, W worker, A agent, R replay, L follow, F flk; types STR, UINT, BOOL, ENUM (values in `limits`,
 * separated by |), SECRET (a STR that is masked). id, name, type, programs, default, unit, limits (UINT:
 * "min..max" or "auto|min..max"), help */
#define FLK_SETTINGS(X)                                                                                                \
    X(HTTP_LISTEN, "FLK_HTTP_LISTEN", STR, G | F, "127.0.0.1:8080", "host:port", "",                                   \
      "HTTP door, with /metrics, /healthz and /readyz")                                                                \
    X(FOLLOW_LISTEN, "FLK_FOLLOW_LISTEN", STR, L | F, "127.0.0.1:8084", "host:port", "",                               \
      "the feed, with /metrics, /healthz and /readyz")                                                                 \
    X(FEED_READERS, "FLK_FEED_READERS", UINT, L, "64", "requests", "1..1024",                                          \
      "requests of the feed served at once, those that wait included; over it 503")                                    \
    X(HTTP_BEHIND_PROXY, "FLK_HTTP_BEHIND_PROXY", BOOL, G | L, "0", "", "",                                            \
      "TLS ends in front of the HTTP door: no warning when it listens beyond loopback; for the feed readers too")      \
    X(HTTP_THREADS, "FLK_HTTP_THREADS", UINT, G, "128", "threads", "4..4096",                                          \
      "HTTP requests served at once; over it 503")                                                                     \
    X(HTTP_PER_ADDRESS, "FLK_HTTP_PER_ADDRESS", UINT, G, "0", "connections", "0..1000000",                             \
      "HTTP connections of one client address; over it 503; 0 is unlimited, as behind a proxy")                        \
    X(HTTP_ADDRESS_BYTES, "FLK_HTTP_ADDRESS_BYTES", UINT, G, "0", "bytes/s", "0..1000000000000",                       \
      "bytes of HTTP bodies from one client address (IPv6: /64); over it 429; 0 is unlimited. With "                   \
      "FLK_HTTP_BEHIND_PROXY=1 the last address of X-Forwarded-For, which the proxy must set")                         \
    X(ZMQ_LISTEN, "FLK_ZMQ_LISTEN", STR, G | R, "tcp://127.0.0.1:5550", "endpoint or off", "",                         \
      "ZeroMQ door for internal agents")                                                                               \
    X(FRONTENDS, "FLK_FRONTENDS", STR, G | B, "tcp://127.0.0.1:5555", "endpoint[,...]", "",                            \
      "broker's side towards gateways: the broker binds one, a gateway connects to all")                               \
    X(BACKENDS, "FLK_BACKENDS", STR, B | W, "tcp://127.0.0.1:5556", "endpoint[,...]", "",                              \
      "broker's side towards workers: the broker binds one, a worker connects to all")                                 \
    X(ADMIN_LISTEN, "FLK_ADMIN_LISTEN", STR, B | W, "", "host:port or off", "",                                        \
      "/metrics, /healthz and /readyz; default broker 127.0.0.1:8081, worker 127.0.0.1:8082")                          \
    X(PLAINTEXT, "FLK_PLAINTEXT", BOOL, G | B | W | A | R, "0", "", "",                                                \
      "allow ZeroMQ without encryption beyond loopback; without effect when there is a key")                           \
    X(CURVE_KEY_FILE, "FLK_CURVE_KEY_FILE", STR, G | B | W | A | R, "", "file", "",                                    \
      "secret CURVE key of this process, by flk keygen; with it every ZeroMQ link over TCP is encrypted")              \
    X(CURVE_DIR, "FLK_CURVE_DIR", STR, G | B | W | A | R | F, "", "directory", "",                                     \
      "public keys of its peers: brokers/ gateways/ workers/ agents/ admins/, each with a NAME.pub a peer")            \
    X(DATA_DIR, "FLK_DATA_DIR", STR, G | W | A | R | L | F, "./flk-data", "directory", "",                             \
      "logs and the embedded store")                                                                                   \
    X(TLOG_KEY_FILE, "FLK_TLOG_KEY_FILE", STR, L, "", "file", "",                                                      \
      "key that signs checkpoints, by flk keygen --role tlog; with it a transparency log of all outcomes is kept")     \
    X(TLOG_ORIGIN, "FLK_TLOG_ORIGIN", STR, L, "", "URL without scheme", "",                                            \
      "name of the transparency logs, as example.com/flk; each adds the number of its gateway's log")                  \
    X(TLOG_DIR, "FLK_TLOG_DIR", STR, L | F, "", "directory", "", "transparency logs; default FLK_DATA_DIR/tlog")       \
    X(TLOG_CHECKPOINT_S, "FLK_TLOG_CHECKPOINT_S", UINT, L, "10", "s", "1..86400",                                      \
      "a checkpoint of the transparency log at most so often")                                                         \
    X(TLOG_WITNESSES, "FLK_TLOG_WITNESSES", STR, L, "", "url=vkey[,...]", "",                                          \
      "witnesses that cosign checkpoints, by C2SP tlog-witness")                                                       \
    X(TLOG_QUORUM, "FLK_TLOG_QUORUM", UINT, L, "auto", "witnesses", "auto|0..16",                                      \
      "cosignatures without which no checkpoint is published; auto is half of the witnesses")                          \
    X(REQUEST_TIMEOUT_MS, "FLK_REQUEST_TIMEOUT_MS", UINT, G, "5000", "ms", "100..600000",                              \
      "answer 503 when no verdict came by then; the record stays in the log and is driven again")                      \
    X(INFLIGHT_MAX, "FLK_INFLIGHT_MAX", UINT, G, "16384", "submissions", "1..1000000",                                 \
      "submissions admitted at once; over it 503")                                                                     \
    X(INFLIGHT_BYTES_MAX, "FLK_INFLIGHT_BYTES_MAX", UINT, G, "auto", "bytes", "auto|1048576..1099511627776",           \
      "bodies of submissions admitted at once; over it 503; auto is a quarter of its memory, 512 MiB at most")         \
    X(TOKEN_RATE, "TOKEN_RATE", UINT, G, "0", "submissions/s", "0..10000000",                                          \
      "token bucket over both doors; 0 is unlimited")                                                                  \
    X(UNSETTLED_AGE_S, "FLK_UNSETTLED_AGE_S", UINT, G, "86400", "s", "0..315360000",                                   \
      "age at which a record without a verdict may become a dead letter")                                              \
    X(UNSETTLED_TRIES, "FLK_UNSETTLED_TRIES", UINT, G, "20", "tries", "1..1000000",                                    \
      "tries in vain, at that age and while others have verdicts, after which it does")                                \
    X(WAL_SEGMENT_BYTES, "FLK_WAL_SEGMENT_BYTES", UINT, G | A, "67108864", "bytes", "65536..1073741824",               \
      "size at which a log segment is closed")                                                                         \
    X(WAL_SEGMENT_AGE_S, "FLK_WAL_SEGMENT_AGE_S", UINT, G | A, "3600", "s", "1..604800",                               \
      "age at which a log segment is closed")                                                                          \
    X(WAL_RETENTION_S, "FLK_WAL_RETENTION_S", UINT, G | A, "1209600", "s", "0..315360000",                             \
      "how long settled segments are kept")                                                                            \
    X(WAL_RETAINED_BYTES, "FLK_WAL_RETAINED_BYTES", UINT, G | A, "auto", "bytes", "auto|0..1099511627776",             \
      "cap on settled segments, oldest go first; auto is a quarter of the disk, 0 is none")                            \
    X(WAL_LOW_WATER_BYTES, "FLK_WAL_LOW_WATER_BYTES", UINT, G | A, "67108864", "bytes", "0..1099511627776",            \
      "below so much free space settled segments go, oldest first, then new work is refused")                          \
    X(FEED_HOLD_BYTES, "FLK_FEED_HOLD_BYTES", UINT, G, "1073741824", "bytes", "0..1099511627776",                      \
      "readers of the log that lag keep so much of it beyond its retention; more breaks their hold")                   \
    X(QUEUE_COUNT_MAX, "FLK_QUEUE_COUNT_MAX", UINT, B, "auto", "deliveries", "auto|1..100000000",                      \
      "queue limit by count; over it BUSY; auto is one for each 4 KiB of its memory, 1000000 at most")                 \
    X(QUEUE_BYTES_MAX, "FLK_QUEUE_BYTES_MAX", UINT, B, "auto", "bytes", "auto|65536..1099511627776",                   \
      "queue limit by bytes; over it BUSY; auto is a quarter of its memory, 512 MiB at most")                          \
    X(HEARTBEAT_MS, "FLK_HEARTBEAT_MS", UINT, G | B | W | A, "1000", "ms", "50..60000",                                \
      "heartbeat period; a peer is lost after 3 misses")                                                               \
    X(WORKER_THREADS, "FLK_WORKER_THREADS", UINT, W, "0", "threads", "0..1024",                                        \
      "verify threads; 0 is one a core that it may use")                                                               \
    X(WORKER_CREDIT, "FLK_WORKER_CREDIT", UINT, W, "auto", "deliveries", "auto|1..4096",                               \
      "deliveries that a thread may hold, per broker; auto is 128, less where they could take a quarter of its "       \
      "memory")                                                                                                        \
    X(STORE_TIMEOUT_MS, "FLK_STORE_TIMEOUT_MS", UINT, W, "1000", "ms", "10..60000",                                    \
      "a store that answers later counts as unavailable")                                                              \
    X(STORE_CONNECT_TIMEOUT_MS, "FLK_STORE_CONNECT_TIMEOUT_MS", UINT, W, "3000", "ms", "10..60000",                    \
      "how long one attempt to connect to a store's server may take")                                                  \
    X(DEDUP_BACKEND, "DEDUP_BACKEND", ENUM, W, "lmdb", "", "memory|lmdb|redis|postgres", "store of outcomes")          \
    X(DEDUP_TTL_S, "FLK_DEDUP_TTL_S", UINT, W, "0", "s", "0..315360000",                                               \
      "how long an outcome is kept; 0 is the policy's (14 days)")                                                      \
    X(LMDB_MAP_BYTES, "FLK_LMDB_MAP_BYTES", UINT, W, "268435456", "bytes", "1048576..1099511627776",                   \
      "first size of the LMDB map; it grows by itself")                                                                \
    X(LMDB_RECENT_BYTES, "FLK_LMDB_RECENT_BYTES", UINT, W, "auto", "bytes", "auto|65536..1073741824",                  \
      "outcomes wait in each worker's memory for the index up to that, eight times that at most; auto is a "           \
      "32nd of its memory, 16 MiB at most")                                                                            \
    X(MEMORY_SNAPSHOT_S, "FLK_MEMORY_SNAPSHOT_S", UINT, W, "60", "s", "1..86400",                                      \
      "period of the memory store's snapshot")                                                                         \
    X(REDIS_ADDR, "REDIS_ADDR", SECRET, W, "127.0.0.1:6379", "shard[,...]", "",                                        \
      "Redis shards: host:port, or redis[s]://[user:password@]host[:port][/database]")                                 \
    X(REDIS_FORMER, "FLK_REDIS_FORMER", SECRET, W, "", "shard[,...]", "",                                              \
      "shards as they were before REDIS_ADDR changed, for one time to live: their outcomes are honoured")              \
    X(REDIS_USER, "FLK_REDIS_USER", STR, W, "", "", "", "for shards whose address has none")                           \
    X(REDIS_PASSWORD, "FLK_REDIS_PASSWORD", SECRET, W, "", "", "", "for shards whose address has none")                \
    X(REDIS_DB, "FLK_REDIS_DB", UINT, W, "0", "", "0..1000000", "database, for shards whose address has none")         \
    X(REDIS_CA_FILE, "FLK_REDIS_CA_FILE", STR, W, "", "file", "",                                                      \
      "CA certificates for rediss://; without it the system's")                                                        \
    X(POSTGRES_CONN, "POSTGRES_CONN", SECRET, W, "", "connection string", "",                                          \
      "PostgreSQL's, e.g. host=db1,db2 dbname=flk user=flk or postgresql://flk@db1,db2/flk")                           \
    X(PG_AUTO_MIGRATE, "FLK_PG_AUTO_MIGRATE", BOOL, W, "0", "", "",                                                    \
      "make or update the PostgreSQL schema when connecting; else flk-worker --migrate does")                          \
    X(POLICY_FILE, "FLK_POLICY_FILE", STR, W | R, "", "file", "",                                                      \
      "policy in the policy language or JSON; without it the defaults")                                                \
    X(SIGN_ALG, "PCS_SIGN_ALG", ENUM, W | A | R, "none", "", "none|hmac|ed25519", "how PCS are signed")                \
    X(HMAC_KEY, "PCS_HMAC_KEY", SECRET, W | A | R, "", "", "", "HMAC key")                                             \
    X(HMAC_KEYS, "PCS_HMAC_KEYS", SECRET, W | R, "", "key[,...]", "", "further HMAC keys that verify, for rotation")   \
    X(KEYRING_FILE, "PCS_KEYRING_FILE", STR, W | R, "", "file", "",                                                    \
      "keys that verify, as JSON: with ids and times; read again when it changes")                                     \
    X(SIGN_ACCEPT, "PCS_SIGN_ACCEPT", ENUM, W | R, "digest", "", "digest|payload",                                     \
      "payload: an HMAC over the canonical bytes themselves is as good as one over their SHA-256")                     \
    X(ED25519_PUB, "PCS_ED25519_PUB_B64", STR, W | R, "", "base64[,...]", "", "Ed25519 public keys that verify")       \
    X(ED25519_SECRET, "PCS_ED25519_SECRET_B64", SECRET, A, "", "base64", "", "Ed25519 seed or secret key that signs")  \
    X(METRICS_USER, "METRICS_USER", STR, G | B | W | L | F, "", "", "",                                                \
      "Basic Auth for /metrics and the feed, with METRICS_PASS")                                                       \
    X(METRICS_PASS, "METRICS_PASS", SECRET, G | B | W | L | F, "", "", "",                                             \
      "Basic Auth for /metrics and the feed, with METRICS_USER")                                                       \
    X(OUTBOX_MAX_AGE_S, "FLK_OUTBOX_MAX_AGE_S", UINT, A, "0", "s", "0..315360000",                                     \
      "a PCS without an answer for that long becomes a dead letter; 0 is never")                                       \
    X(ENDPOINT, "ENDPOINT", STR, A, "http://127.0.0.1:8080/v1/pcs/submit", "URL", "",                                  \
      "where PCS go: http://, https:// or tcp:// (ZeroMQ door)")                                                       \
    X(DEV, "FLK_DEV", BOOL, G | B | W | A | R | L | F, "0", "", "",                                                    \
      "a developer's machine: sample passwords are allowed, and debuggers and core dumps")                             \
    X(SCHEDULER, "FLK_SCHEDULER", ENUM, G | B | W | L, "other", "", "other|batch",                                     \
      "batch: a woken thread lets the running one finish: a fifth less CPU time where cores are flk's own")            \
    X(LOG_LEVEL, "FLK_LOG_LEVEL", ENUM, G | B | W | A | L | F, "info", "", "debug|info|warn|error",                    \
      "least severe event that is logged")                                                                             \
    X(LOG_FORMAT, "FLK_LOG_FORMAT", ENUM, G | B | W | A | L | F, "text", "", "text|json",                              \
      "one line an event, key=value or JSON")

#endif
