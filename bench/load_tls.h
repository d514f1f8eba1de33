/* Connections of load.c under TLS 1.3 (RFC 8446), by OpenSSL.
 *
 * One cipher for every server, so that they are compared at the same work.  The server's
 * certificate is verified: it is the one that the command line names.
 */
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>

enum { READ_AHEAD = 1 << 17 }; /* bytes: a message of 64 KiB takes one system call */

static const char ciphers[] = "TLS_AES_128_GCM_SHA256";
static SSL_CTX *context;

static const char *reason(void) {
    const char *words = ERR_reason_error_string(ERR_peek_last_error());
    return words ? words : strerror(errno);
}

static void prepare(const char *certificate) {
    signal(SIGPIPE, SIG_IGN); /* OpenSSL knows no MSG_NOSIGNAL */
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(context, ciphers) ||
        !SSL_CTX_load_verify_file(context, certificate))
        die("TLS: %s: %s", certificate, reason());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD);
}

/* The handshake, while the socket still blocks. */
static void greet(struct connection *c) {
    SSL *tls = SSL_new(context);
    struct timeval patience = {.tv_sec = STALL_SECONDS};

    c->tls = tls;
    if (tls == NULL || !SSL_set_fd(tls, c->fd) ||
        setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
        die("connection %u: TLS: %s", c->index, reason());
    if (SSL_connect(tls) != 1)
        die("connection %u: TLS handshake failed: %s", c->index, reason());
    if (fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0)
        die("connection %u: fcntl: %s", c->index, strerror(errno));
}

/* What OpenSSL has to say, in the terms of send() and recv(). */
static ssize_t outcome(SSL *tls, int done, size_t count) {
    if (done)
        return (ssize_t)count;
    switch (SSL_get_error(tls, 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        if (errno == 0)
            errno = ECONNRESET;
        return -1;
    default:
        errno = EPROTO;
        return -1;
    }
}

static ssize_t transmit(struct connection *c, const char *data, size_t size) {
    size_t count = 0;
    ERR_clear_error();
    int done = SSL_write_ex(c->tls, data, size, &count);
    return outcome(c->tls, done, count);
}

static ssize_t take(struct connection *c, char *data, size_t size) {
    size_t count = 0;
    ERR_clear_error();
    int done = SSL_read_ex(c->tls, data, size, &count);
    return outcome(c->tls, done, count);
}

/* A record ends where the server chose to end it. */
static int is_drained(size_t taken, size_t wanted) {
    (void)taken;
    (void)wanted;
    return 0;
}
