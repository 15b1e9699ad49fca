/* SPDX-License-Identifier: MIT */
#include "agent/flk/tlog_key.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/io.h"

enum { VERIFIER_MODE = 0644, DIR_BYTES_MAX = 3000 };

static flk_err_t write_line(const char *path, const char *text, mode_t mode, char *errmsg) {
    char line[FLK_NOTE_KEY_TEXT_BYTES + 1];
    int bytes = snprintf(line, sizeof line, "%s\n", text);
    flk_err_t err = flk_io_write_new(path, line, (size_t)bytes, mode, errmsg);
    sodium_memzero(line, sizeof line);
    return err;
}

flk_err_t flk_tlog_key_make(const char *dir, const char *name, flk_tlog_key_t *key, char *errmsg) {
    flk_note_signer_t signer;
    char secret[FLK_NOTE_KEY_TEXT_BYTES];
    if (strlen(dir) > DIR_BYTES_MAX) {
        flk_errmsg(errmsg, "the directory's name is too long");
        return FLK_E_CONFIG;
    }
    flk_err_t err = flk_io_mkdirs(dir, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    snprintf(key->secret_path, sizeof key->secret_path, "%.3000s/%.255s.key", dir, name);
    snprintf(key->verifier_path, sizeof key->verifier_path, "%.3000s/%.255s.vkey", dir, name);
    flk_note_signer_draw(name, &signer);
    flk_note_signer_print(&signer, secret);
    flk_note_key_print(&signer.key, key->verifier_key);
    err = write_line(key->secret_path, secret, FLK_IO_MODE, errmsg);
    if (err == FLK_OK) {
        err = write_line(key->verifier_path, key->verifier_key, VERIFIER_MODE, errmsg);
        if (err != FLK_OK) {
            (void)!flk_io_unlink(key->secret_path, NULL);
        }
    }
    err = err != FLK_OK ? err : flk_io_sync_dir(dir, errmsg);
    sodium_memzero(&signer, sizeof signer);
    sodium_memzero(secret, sizeof secret);
    return err;
}
