/* SPDX-License-Identifier: MIT */
#include "tests/load/load.h"

#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "usage: flk-load --http HOST:PORT | --zmq ENDPOINT [options]\n"
                            "  --outstanding N   submissions outstanding; connections at the HTTP door (64)\n"
                            "  --rate R          open loop: R submissions/s fall due, latencies count from then\n"
                            "  --seconds S       measured (5)   --warm S  before that (1)\n"
                            "  --distinct N      distinct PCS made before the start (200000)\n"
                            "  --key KEY         sign by HMAC   --seed N  another set of PCS\n"
                            "  --json            print a JSON object with the distribution of latencies\n"
                            "Prints: rate_per_s p50_us p99_us answered other_than_2xx\n";

int main(int argc, char **argv) {
    static const struct option longs[] = {
        {"http", required_argument, 0, 'h'},
        {"zmq", required_argument, 0, 'z'},
        {"key", required_argument, 0, 'k'},
        {"outstanding", required_argument, 0, 'o'},
        {"rate", required_argument, 0, 'r'},
        {"json", no_argument, 0, 'j'},
        {"seconds", required_argument, 0, 's'},
        {"warm", required_argument, 0, 'w'},
        {"distinct", required_argument, 0, 'd'},
        {"seed", required_argument, 0, 'S'},
        {0},
    };
    load_options_t options = {
        .outstanding = 64, .seconds = 5, .warm_seconds = 1, .distinct = 200000, .seed = flk_random_u64()};
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (c) {
        case 'h':
            options.http = optarg;
            break;
        case 'z':
            options.zmq = optarg;
            break;
        case 'k':
            options.key = optarg;
            break;
        case 'o':
            options.outstanding = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'r':
            options.rate = strtod(optarg, NULL);
            break;
        case 'j':
            options.json = true;
            break;
        case 's':
            options.seconds = strtod(optarg, NULL);
            break;
        case 'w':
            options.warm_seconds = strtod(optarg, NULL);
            break;
        case 'd':
            options.distinct = strtoul(optarg, NULL, 10);
            break;
        case 'S':
            options.seed = strtoull(optarg, NULL, 10);
            break;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if ((options.http == NULL) == (options.zmq == NULL) || options.outstanding == 0 || options.distinct == 0 ||
        !(options.seconds > 0)) {
        fputs(usage, stderr);
        return 2;
    }
    FLK_ASSERT(sodium_init() >= 0);
    load_body_t *bodies = load_make(&options, options.zmq != NULL);
    int status = options.http != NULL ? http_run(&options, bodies) : zmq_run(&options, bodies);
    for (size_t i = 0; i < options.distinct; i++) {
        free(bodies[i].bytes);
    }
    free(bodies);
    return status;
}
