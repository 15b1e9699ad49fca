/* SPDX-License-Identifier: MIT */
/* For each program: is there a key, does its public half stand in the list of its role, does it know its servers' keys,
 * and does a handshake with each of them succeed? Without a key: may its links do without? */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "agent/flk/doctor/checks.h"
#include "agent/flk/doctor/handshake.h"

static const char check[] = "curve";

enum { AGENTS_AND_ADMINS = FLK_ROLE_BIT(FLK_ROLE_AGENT) | FLK_ROLE_BIT(FLK_ROLE_ADMIN) };

typedef struct subject {
    const char *name;
    const flk_settings_t *settings;
    flk_role_t role, servers; /* its own; that of its servers */
    flk_setting_id_t links;   /* where it connects to, or listens when it has no servers */
    unsigned guests;          /* roles of its clients: FLK_ROLE_BITs */
} subject_t;

typedef struct visit {
    const subject_t *subject;
    const flk_security_t *security;
    flk_findings_t *findings;
    unsigned timeout_ms;
} visit_t;

static const char *path_of(const subject_t *subject, flk_setting_id_t setting) {
    return flk_settings_str(subject->settings, setting);
}

/* ---- without a key ---- */

static void check_plain_link(void *arg, const char *endpoint, size_t index) {
    const visit_t *visit = arg;
    char errmsg[FLK_ERRMSG_BYTES];
    (void)index;
    if (strncmp(endpoint, "tcp://", 6) != 0 || flk_security_check(NULL, endpoint, errmsg) == FLK_OK) {
        return; /* HTTP, a socket of this host, or loopback */
    }
    if (flk_settings_bool(visit->subject->settings, FLK_SET_PLAINTEXT)) {
        flk_findings_add(visit->findings, check, FLK_FINDING_NOTE, "make keys with flk keygen, and unset it",
                         "%s: FLK_PLAINTEXT=1: anyone on the network of %.160s can read, forge and join",
                         visit->subject->name, endpoint);
    } else {
        flk_findings_add(visit->findings, check, FLK_FINDING_FAULT,
                         "make keys with flk keygen, and set FLK_CURVE_KEY_FILE and FLK_CURVE_DIR", "%s: %s",
                         visit->subject->name, errmsg);
    }
}

/* ---- the key itself ---- */

static bool has_list(const subject_t *subject, char list[PATH_MAX]) {
    snprintf(list, PATH_MAX, "%.4000s/%s", path_of(subject, FLK_SET_CURVE_DIR), flk_role_dir(subject->role));
    return access(list, R_OK | X_OK) == 0;
}

/* LIST/NAME.pub beside NAME.key holds another key. */
static bool namesake_differs(const char *key_path, const char *list, const char *public_key, char path[PATH_MAX]) {
    char other[FLK_CURVE_TEXT_BYTES];
    const char *slash = strrchr(key_path, '/');
    const char *name = slash != NULL ? slash + 1 : key_path;
    const char *dot = strrchr(name, '.');
    size_t len = dot != NULL ? (size_t)(dot - name) : strlen(name);
    int bytes = snprintf(path, PATH_MAX, "%s/%.*s.pub", list, (int)(len < 128 ? len : 128), name);
    return bytes < PATH_MAX && flk_curve_read_public(path, other, NULL) == FLK_OK && strcmp(other, public_key) != 0;
}

/* A process with a directory of its own need not have the list that its peers read: then there is nothing to compare.
 */
static void check_pair(const subject_t *subject, const char *public_key, flk_findings_t *findings) {
    char list[PATH_MAX], namesake[PATH_MAX], name[FLK_CURVE_NAME_MAX + 1];
    flk_keydir_t *own = NULL;
    if (!has_list(subject, list) ||
        flk_keydir_new(path_of(subject, FLK_SET_CURVE_DIR), FLK_ROLE_BIT(subject->role), &own, NULL) != FLK_OK) {
        return;
    }
    if (flk_keydir_has(own, FLK_ROLE_BIT(subject->role), public_key, name)) {
        flk_findings_add(findings, check, FLK_FINDING_OK, "", "%s: its public key is %s/%s.pub", subject->name,
                         flk_role_dir(subject->role), name);
    } else if (namesake_differs(path_of(subject, FLK_SET_CURVE_KEY_FILE), list, public_key, namesake)) {
        flk_findings_add(findings, check, FLK_FINDING_FAULT,
                         "put the .pub there that flk keygen made with the .key, or make both anew",
                         "%s: %.200s does not belong to its secret key", subject->name, namesake);
    } else {
        flk_findings_add(findings, check, FLK_FINDING_FAULT,
                         "copy the .pub of the key there, where its peers read it, or name the right key file",
                         "%s: %.200s has no public key of its secret key: nobody lets it in", subject->name, list);
    }
    flk_keydir_destroy(&own);
}

static void check_key(const subject_t *subject, flk_findings_t *findings) {
    const char *path = path_of(subject, FLK_SET_CURVE_KEY_FILE);
    uint8_t secret[FLK_CURVE_KEY_BYTES];
    char public_key[FLK_CURVE_TEXT_BYTES];
    struct stat status;
    if (stat(path, &status) != 0 || flk_curve_read_secret(path, secret, public_key, NULL) != FLK_OK) {
        return; /* changed since it was loaded: the next look tells */
    }
    sodium_memzero(secret, sizeof secret);
    unsigned mode = (unsigned)(status.st_mode & 07777);
    bool writable = (status.st_mode & S_IWGRP) != 0;
    flk_findings_add(findings, check, writable ? FLK_FINDING_NOTE : FLK_FINDING_OK,
                     writable ? "chmod 600 it, or 440 where a group must read it" : "",
                     "%s: %.200s is a secret key with mode %04o%s", subject->name, path, mode,
                     writable ? ": its group may replace it" : "");
    check_pair(subject, public_key, findings);
}

/* ---- its peers ---- */

static void check_guests(const visit_t *visit) {
    const subject_t *subject = visit->subject;
    if (subject->guests == AGENTS_AND_ADMINS && strcmp(path_of(subject, FLK_SET_ZMQ_LISTEN), "off") == 0) {
        return;
    }
    for (flk_role_t role = 0; role < FLK_ROLES_COUNT; role++) {
        size_t keys = flk_keydir_len(flk_security_keys(visit->security), role);
        if ((subject->guests & FLK_ROLE_BIT(role)) == 0 || role == FLK_ROLE_ADMIN) {
            continue; /* admins come now and then */
        }
        flk_findings_add(visit->findings, check, keys > 0 ? FLK_FINDING_OK : FLK_FINDING_NOTE,
                         keys > 0 ? "" : "put their .pub files there; they count within a second",
                         keys > 0 ? "%s: lets %zu keys of %s/ in" : "%s: %zu keys in %s/: nobody of them is let in",
                         subject->name, keys, flk_role_dir(role));
    }
}

/* With each server key that is trusted, until one fits; the last one's result otherwise. */
static flk_handshake_t shake_with_any(const visit_t *visit, const char *endpoint) {
    size_t keys = flk_keydir_len(flk_security_keys(visit->security), visit->subject->servers);
    flk_handshake_t reached = FLK_HANDSHAKE_IMPOSSIBLE;
    for (size_t turn = 0; turn < keys; turn++) {
        reached = flk_handshake_try(endpoint, visit->security, turn, visit->timeout_ms);
        if (reached != FLK_HANDSHAKE_OTHER_KEY) {
            break;
        }
    }
    return reached;
}

static void check_server(void *arg, const char *endpoint, size_t index) {
    const visit_t *visit = arg;
    const char *name = visit->subject->name, *servers = flk_role_dir(visit->subject->servers);
    (void)index;
    if (!flk_security_covers(visit->security, endpoint)) {
        return;
    }
    switch (shake_with_any(visit, endpoint)) {
    case FLK_HANDSHAKE_DONE:
        flk_findings_add(visit->findings, check, FLK_FINDING_OK, "", "%s: %.160s has a key of %s/ and lets ours in",
                         name, endpoint, servers);
        break;
    case FLK_HANDSHAKE_REFUSED:
        flk_findings_add(visit->findings, check, FLK_FINDING_FAULT,
                         "copy this one's .pub into the list of its role in FLK_CURVE_DIR over there",
                         "%s: %.160s does not let our key in", name, endpoint);
        break;
    case FLK_HANDSHAKE_OTHER_KEY:
        flk_findings_add(visit->findings, check, FLK_FINDING_FAULT,
                         "copy that one's .pub here, and see that it has a key at all",
                         "%s: %.160s does not prove a key of %s/", name, endpoint, servers);
        break;
    case FLK_HANDSHAKE_NO_ANSWER: /* told by the check of reach */
    case FLK_HANDSHAKE_IMPOSSIBLE:
        break;
    }
}

static void check_servers(visit_t *visit) {
    const subject_t *subject = visit->subject;
    if (subject->servers == FLK_ROLE_NONE) {
        return;
    }
    if (flk_keydir_len(flk_security_keys(visit->security), subject->servers) == 0) {
        flk_findings_add(visit->findings, check, FLK_FINDING_FAULT, "copy the .pub of each of them there",
                         "%s: %.200s/%s holds no key: it trusts nobody to connect to", subject->name,
                         path_of(subject, FLK_SET_CURVE_DIR), flk_role_dir(subject->servers));
    } else {
        flk_settings_each(path_of(subject, subject->links), check_server, visit);
    }
}

static void check_subject(const subject_t *subject, unsigned timeout_ms, flk_findings_t *findings) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_security_t *security = NULL;
    visit_t visit = {subject, NULL, findings, timeout_ms};
    if (flk_security_load(subject->settings, subject->servers, subject->guests, &security, errmsg) != FLK_OK) {
        flk_findings_add(findings, check, FLK_FINDING_FAULT,
                         "flk keygen makes a pair; FLK_CURVE_KEY_FILE names the .key, FLK_CURVE_DIR the lists of .pub",
                         "%s: %s", subject->name, errmsg);
        return;
    }
    visit.security = security;
    if (flk_security_has_key(security)) {
        check_key(subject, findings);
        check_servers(&visit);
        check_guests(&visit);
    } else {
        flk_settings_each(path_of(subject, subject->links), check_plain_link, &visit);
    }
    flk_security_destroy(&security);
}

void flk_check_curve(const flk_patient_t *patient, flk_findings_t *findings) {
    const subject_t subjects[] = {
        {"gateway", patient->gateway, FLK_ROLE_GATEWAY, FLK_ROLE_BROKER, FLK_SET_FRONTENDS, AGENTS_AND_ADMINS},
        {"broker", patient->broker, FLK_ROLE_BROKER, FLK_ROLE_NONE, FLK_SET_FRONTENDS,
         FLK_ROLE_BIT(FLK_ROLE_GATEWAY) | FLK_ROLE_BIT(FLK_ROLE_WORKER)},
        {"worker", patient->worker, FLK_ROLE_WORKER, FLK_ROLE_BROKER, FLK_SET_BACKENDS, 0},
        {"agent", patient->agent, FLK_ROLE_AGENT, FLK_ROLE_GATEWAY, FLK_SET_ENDPOINT, 0},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(subjects); i++) {
        if (subjects[i].settings != NULL) {
            check_subject(&subjects[i], patient->timeout_ms, findings);
        }
    }
}
