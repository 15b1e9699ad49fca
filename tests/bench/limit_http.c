/* SPDX-License-Identifier: MIT */
/* limit_http [threads]: the limit of the HTTP door. civetweb as the door has it (a thread a connection, keep-alive),
 * with a handler that reads the body and answers at once. Prints its port, and serves until stdin ends. */
#include <civetweb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base.h"

static int on_submit(struct mg_connection *connection, void *arg) {
    (void)arg;
    char body[4096];
    while (mg_read(connection, body, sizeof body) > 0) {
    }
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n"
                                 "{\"accepted\":true}";
    mg_write(connection, answer, sizeof answer - 1);
    return 200;
}

static int allow(struct mg_connection *connection, void *arg) {
    (void)connection;
    (void)arg;
    return 1; /* without this handler civetweb looks for a password file at each request */
}

int main(int argc, char **argv) {
    const char *options[] = {"listening_ports",       "127.0.0.1:0", "num_threads", argc > 1 ? argv[1] : "128",
                             "enable_keep_alive",     "yes",         "tcp_nodelay", "1",
                             "keep_alive_timeout_ms", "15000",       NULL};
    mg_init_library(MG_FEATURES_DEFAULT);
    struct mg_context *context = mg_start(&(struct mg_callbacks){0}, NULL, options);
    struct mg_server_port bound;
    if (context == NULL || mg_get_server_ports(context, 1, &bound) != 1) {
        fprintf(stderr, "limit_http: civetweb does not start\n");
        return 1;
    }
    mg_set_auth_handler(context, "**", allow, NULL);
    mg_set_request_handler(context, "/v1/pcs/submit", on_submit, NULL);
    printf("%d\n", bound.port);
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    _exit(0); /* mg_stop may take two seconds, and there is nothing to keep */
}
