/* SPDX-License-Identifier: MIT */
#include "common/beat.h"

#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* held for a few instructions, at starts, ends and looks */
static flk_beat_t *beats;

void flk_beat_start(flk_beat_t *beat, const char *name, uint64_t ms_max) {
    beat->name = name;
    beat->ms_max = ms_max;
    flk_beat_turn(beat, flk_mono_ms());
    pthread_mutex_lock(&mutex);
    beat->prev = NULL;
    beat->next = beats;
    if (beats != NULL) {
        beats->prev = beat;
    }
    beats = beat;
    pthread_mutex_unlock(&mutex);
}

void flk_beat_stop(flk_beat_t *beat) {
    if (beat->name == NULL) {
        return;
    }
    pthread_mutex_lock(&mutex);
    *(beat->prev == NULL ? &beats : &beat->prev->next) = beat->next;
    if (beat->next != NULL) {
        beat->next->prev = beat->prev;
    }
    pthread_mutex_unlock(&mutex);
    beat->name = NULL;
}

bool flk_beats_alive(uint64_t now_ms, char *why) {
    bool alive = true;
    pthread_mutex_lock(&mutex);
    for (const flk_beat_t *beat = beats; alive && beat != NULL; beat = beat->next) {
        uint64_t turned_ms = atomic_load_explicit(&beat->turned_ms, memory_order_relaxed);
        if (now_ms > turned_ms && now_ms - turned_ms > beat->ms_max) {
            flk_errmsg(why, "the %s has not turned for %llu s", beat->name,
                       (unsigned long long)((now_ms - turned_ms) / 1000));
            alive = false;
        }
    }
    pthread_mutex_unlock(&mutex);
    return alive;
}
