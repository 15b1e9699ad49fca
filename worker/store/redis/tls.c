/* SPDX-License-Identifier: MIT */
/* The SSL object is ours: hiredis' own context checks the certificate's signer, but not its name. */
#include "worker/store/redis/tls.h"

#ifdef FLK_HAVE_REDIS_TLS

#include <arpa/inet.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

flk_err_t flk_redis_tls_check(char *errmsg) {
    (void)errmsg;
    return FLK_OK;
}

static const char *reason(void) {
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text != NULL ? text : "unknown reason";
}

static bool is_address(const char *host) {
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

/* Names are also sent, so that a server with several certificates can choose. */
static bool expect_host(SSL *ssl, const char *host) {
    if (is_address(host)) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    }
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static flk_err_t make_ssl(const char *host, const char *ca_file, SSL **out, char *errmsg) {
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
        flk_errmsg(errmsg, "TLS: %s", reason());
        SSL_CTX_free(ctx);
        return FLK_E_NOMEM;
    }
    int loaded =
        ca_file[0] != '\0' ? SSL_CTX_load_verify_locations(ctx, ca_file, NULL) : SSL_CTX_set_default_verify_paths(ctx);
    if (loaded != 1) {
        flk_errmsg(errmsg, "FLK_REDIS_CA_FILE: %s: %s", ca_file, reason());
        SSL_CTX_free(ctx);
        return FLK_E_CONFIG;
    }
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx); /* ssl holds it */
    if (ssl == NULL || !expect_host(ssl, host)) {
        SSL_free(ssl);
        flk_errmsg(errmsg, "TLS: %s", reason());
        return FLK_E_NOMEM;
    }
    *out = ssl;
    return FLK_OK;
}

flk_err_t flk_redis_tls_start(redisContext *context, const char *host, const char *ca_file, char *errmsg) {
    SSL *ssl;
    flk_err_t err = make_ssl(host, ca_file, &ssl, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (redisInitiateSSL(context, ssl) != REDIS_OK) { /* then ssl is still ours */
        long verified = SSL_get_verify_result(ssl);
        flk_errmsg(errmsg, "TLS: %s",
                   verified != X509_V_OK ? X509_verify_cert_error_string(verified) : context->errstr);
        SSL_free(ssl);
        err = FLK_E_UNAVAILABLE;
    }
    return err;
}

#else

flk_err_t flk_redis_tls_check(char *errmsg) {
    flk_errmsg(errmsg,
               "rediss:// needs hiredis 1.0 or later (Debian 13); this build has none with TLS: use redis:// over "
               "a tunnel, or a build for Debian 13");
    return FLK_E_CONFIG;
}

flk_err_t flk_redis_tls_start(redisContext *context, const char *host, const char *ca_file, char *errmsg) {
    (void)context;
    (void)host;
    (void)ca_file;
    return flk_redis_tls_check(errmsg);
}

#endif
