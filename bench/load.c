/* A closed-loop load for TCP echo servers on 127.0.0.1.
 *
 *     load PORT CONNECTIONS SIZE [anew]
 *     load_tls PORT CONNECTIONS SIZE CERTIFICATE
 *
 * The second is this file compiled with -DTLS: the same under TLS, see load_tls.h.
 *
 * Opens the connections, then takes orders: each line of standard input is a number of seconds, for
 * which every connection has one message of SIZE bytes in flight: it sends the whole message, waits
 * until all of it has come back, and starts again.  When the time is over the last messages are
 * waited for, so that nothing is in flight between two orders, and one line of JSON tells what was
 * measured.  End of file ends it.
 *
 * With "anew" every message has a connection of its own, so that what is measured is a whole
 * connection: connect, one message there and back, end of file from us, end of file from the server.
 * The connections come from many addresses, so that the ports do not run out.  None is open between
 * two orders.
 *
 * Every byte that comes back is compared.  A broken connection, a wrong byte or a stall is one line
 * on standard error and exit status 1.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <unistd.h>

#include "load_common.h"

enum {
    BATCH = 256,         /* events taken from one epoll_wait */
    LINE = 64,           /* bytes of an order */
    PERIOD = 251,        /* of the pattern; a prime, so that messages start at different bytes */
};

struct connection {
    int fd;
    unsigned index;
    size_t position;     /* where this message starts in the pattern, below PERIOD */
    size_t to_send;      /* bytes of this message */
    size_t to_receive;
    int ending;          /* whether we have sent the end of file */
    int64_t began;       /* nanoseconds */
    void *tls;           /* of load_tls.h */
};

static int port, epoll;
static int anew;               /* whether every message has a connection of its own */
static size_t size;            /* of a message */
static char *pattern;          /* size + PERIOD bytes */
static char *received;         /* size bytes, shared: what was compared is not needed again */

#ifdef TLS
#include "load_tls.h"
#else
static void prepare(const char *certificate) {
    (void)certificate;
}

static void greet(struct connection *c) {
    (void)c;
}

static ssize_t transmit(struct connection *c, const char *data, size_t size) {
    return send(c->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t take(struct connection *c, char *data, size_t size) {
    return recv(c->fd, data, size, MSG_DONTWAIT);
}

/* What comes after less than was asked for is a new edge. */
static int is_drained(size_t taken, size_t wanted) {
    return taken < wanted;
}
#endif

static void open_connection(struct connection *c) {
    struct epoll_event interest = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                   .data.ptr = c};

    c->ending = 0;
    c->fd = connect_to(port, c->index, anew);
    greet(c);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &interest) < 0)
        die("connection %u: epoll_ctl: %s", c->index, strerror(errno));
}

/* Send what the socket takes; the next EPOLLOUT sends the rest. */
static void send_rest(struct connection *c) {
    while (c->to_send > 0) {
        const char *rest = pattern + c->position + (size - c->to_send);
        ssize_t n = transmit(c, rest, c->to_send);
        if (n <= 0) {
            if (errno == EAGAIN)
                return;
            die("connection %u broke while sending: %s", c->index, strerror(errno));
        }
        c->to_send -= (size_t)n;
    }
}

static void begin_message(struct connection *c, int64_t now) {
    if (anew)
        open_connection(c);
    c->to_send = c->to_receive = size;
    c->began = now;
    send_rest(c);
}

/* No message is under way. Under TLS there may be something all the same: session tickets. */
static void expect_nothing(struct connection *c) {
    char beyond;
    ssize_t n = take(c, &beyond, 1);
    if (n > 0)
        die("connection %u: the server sent more than it had received", c->index);
    if (n == 0)
        die("connection %u was closed by the server", c->index);
    if (errno != EAGAIN)
        die("connection %u broke: %s", c->index, strerror(errno));
}

/* Take and compare what has arrived.  Returns whether that completes the message. */
static int receive_rest(struct connection *c) {
    if (c->to_receive == 0) {
        expect_nothing(c);
        return 0;
    }
    while (c->to_receive > 0) {
        size_t wanted = c->to_receive, done = size - wanted;
        ssize_t n = take(c, received, wanted);
        if (n == 0)
            die("connection %u was closed by the server", c->index);
        if (n < 0) {
            if (errno == EAGAIN)
                return 0;
            die("connection %u broke while receiving: %s", c->index, strerror(errno));
        }
        if (done + (size_t)n > size - c->to_send)
            die("connection %u: the server sent more than it had received", c->index);
        if (memcmp(received, pattern + c->position + done, (size_t)n) != 0)
            die("connection %u: wrong bytes at or after byte %zu of a message", c->index, done);
        c->to_receive -= (size_t)n;
        if (is_drained((size_t)n, wanted))
            return 0;
    }
    return 1;
}

/* The server has closed: was that in turn, and was it in order? */
static void end_connection(struct connection *c) {
    char beyond;
    if (!c->ending)
        die("connection %u was closed by the server", c->index);
    if (recv(c->fd, &beyond, 1, MSG_DONTWAIT) != 0)
        die("connection %u did not end with an end of file", c->index);
    close(c->fd);
}

/* Keep the connections busy for some nanoseconds. */
static void run(struct connection *connections, unsigned count, int64_t duration) {
    int64_t cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    int64_t began = nanoseconds(CLOCK_MONOTONIC), now = began;
    unsigned in_flight = count;
    struct epoll_event events[BATCH];

    measured = 0;
    for (unsigned i = 0; i < count; i++)
        begin_message(&connections[i], nanoseconds(CLOCK_MONOTONIC));
    while (in_flight > 0) {
        int ready = epoll_wait(epoll, events, BATCH, STALL_SECONDS * 1000);
        if (ready == 0)
            die("nothing came back for %d seconds on %u connections", STALL_SECONDS, in_flight);
        if (ready < 0 && errno != EINTR)
            die("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
                end_connection(c);
            } else {
                send_rest(c);
                if (c->ending || !(events[i].events & EPOLLIN) || !receive_rest(c))
                    continue;
                if (anew) {
                    c->ending = 1;
                    if (shutdown(c->fd, SHUT_WR) < 0)
                        die("connection %u broke at its end: %s", c->index, strerror(errno));
                    continue;
                }
            }
            now = nanoseconds(CLOCK_MONOTONIC);
            record(now - c->began);
            c->position = (c->position + 1) % PERIOD;
            if (now - began < duration)
                begin_message(c, now);
            else
                in_flight--;
        }
    }
    report(now - began, nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
}

int main(int argc, char **argv) {
    char line[LINE];

#ifdef TLS
    if (argc != 5)
        die("usage: load_tls PORT CONNECTIONS SIZE CERTIFICATE");
    prepare(argv[4]);
#else
    anew = argc == 5 && strcmp(argv[4], "anew") == 0;
    if (argc != 4 + anew)
        die("usage: load PORT CONNECTIONS SIZE [anew]");
    prepare(NULL);
#endif
    int count = atoi(argv[2]);
    port = atoi(argv[1]);
    size = strtoull(argv[3], NULL, 10);
    if (port < 1 || port > 65535 || count < 1 || size < 1)
        die("load: an argument is out of range");

    pattern = allocate(NULL, size + PERIOD);
    received = allocate(NULL, size);
    for (size_t i = 0; i < size + PERIOD; i++)
        pattern[i] = (char)(i % PERIOD);

    epoll = epoll_create1(0);
    if (epoll < 0)
        die("epoll_create1: %s", strerror(errno));
    struct connection *connections = allocate(NULL, (size_t)count * sizeof *connections);
    for (int i = 0; i < count; i++) {
        connections[i].index = (unsigned)i;
        connections[i].position = (size_t)i % PERIOD;
        if (!anew)
            open_connection(&connections[i]);
    }
    while (fgets(line, sizeof line, stdin) != NULL)
        run(connections, (unsigned)count, (int64_t)(atof(line) * 1e9));
    return 0;
}
