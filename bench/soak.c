/* Connections that end in every way there is, to a server on 127.0.0.1.
 *
 *     soak PORT SLOTS
 *
 * Takes orders: each line of standard input is a number of connections to make, up to SLOTS of them
 * open at a time.  When all of them have ended, one line of JSON tells how many there were of each
 * kind.  End of file ends it.
 *
 * Kind number K of the table below comes from the addresses 127.(K + 1).0.0/16: so the server knows
 * which part it has to play (peers/soak_twisted.py).  There are many addresses of each, so that the
 * ports do not run out while ended connections are in TIME-WAIT.
 *
 * Every end is checked from this side: bytes that come back, end of file where that is due, a reset
 * where that is.  Anything else, or a stall, is one line on standard error and exit status 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

enum {
    BATCH = 256,          /* events taken from one epoll_wait */
    LINE = 64,            /* bytes of an order */
    SOURCES = 50000,      /* addresses of each kind */
    STALL_SECONDS = 30,   /* without any event, or for one connect */
    MOST = 32768,         /* bytes of the longest message */
    DECK = 100,           /* the kinds have shares of it, and go round in it by STRIDE */
    STRIDE = 37,          /* prime to DECK */
};

/* How a connection ends. */
enum end {
    BY_CLOSE,       /* of ours, when the message is back */
    BY_HALF_CLOSE,  /* when the message is sent; then all of it comes back, and the server's end */
    BY_RESET,       /* of ours, when the message is back */
    BY_RESET_AHEAD, /* of ours, when the message is sent: the server has not read it */
    BY_SERVER,      /* it closes, when it likes */
    BY_ABORT,       /* it resets, when the message has come */
};

static const struct kind {
    const char *name;
    enum end end;
    size_t size;     /* bytes of the message */
    unsigned share;
} kinds[] = {
    {"close", BY_CLOSE, 512, 30},
    {"half-close", BY_HALF_CLOSE, 16384, 20},
    {"reset", BY_RESET, 512, 15},
    {"reset, unread data", BY_RESET_AHEAD, 16384, 10},
    {"reset, held", BY_RESET_AHEAD, MOST, 5},
    {"timeout", BY_SERVER, 0, 2},
    {"abort", BY_ABORT, 16, 10},
    {"own client", BY_SERVER, 0, 8},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

struct visit {
    int fd;
    const struct kind *kind;
    size_t sent, received;
};

static int port, epoll;
static char pattern[MOST], received[MOST];
static unsigned deck[DECK];
static unsigned turn;              /* of all connections */
static unsigned long made[KINDS];  /* of this order */

static void wrong(const struct visit *v, const char *what) {
    die("%s: %s, %zu bytes sent, %zu received", v->kind->name, what, v->sent, v->received);
}

static void broken(const struct visit *v, int error) {
    wrong(v, strerror(error));
}

static void end_visit(struct visit *v, int reset) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (reset && setsockopt(v->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) < 0)
        broken(v, errno);
    close(v->fd);
    v->fd = -1;
}

/* Send what the socket takes; the next EPOLLOUT sends the rest.  Returns whether all is sent. */
static int send_rest(struct visit *v) {
    while (v->sent < v->kind->size) {
        ssize_t n = send(v->fd, pattern + v->sent, v->kind->size - v->sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            broken(v, errno);
        if (n < 0)
            return 0;
        v->sent += (size_t)n;
        if (v->sent == v->kind->size && v->kind->end == BY_HALF_CLOSE && shutdown(v->fd, SHUT_WR) < 0)
            broken(v, errno);
    }
    return 1;
}

/* Take and compare what has come.  Returns whether the server has ended its side. */
static int receive_rest(struct visit *v) {
    for (;;) {
        ssize_t n = recv(v->fd, received, sizeof received, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0)
            broken(v, errno);
        if (n == 0)
            return 1;
        if (v->received + (size_t)n > v->sent)
            wrong(v, "more came back than was sent");
        if (memcmp(received, pattern + v->received, (size_t)n) != 0)
            wrong(v, "wrong bytes");
        v->received += (size_t)n;
    }
}

/* Returns whether the server has reset it.  Until then it sends a lot, so that it has something to
 * throw away. */
static int await_reset(const struct visit *v) {
    for (;;) {
        ssize_t n = recv(v->fd, received, sizeof received, MSG_DONTWAIT);
        if (n == 0)
            wrong(v, "end of file instead of a reset");
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0 && errno == ECONNRESET)
            return 1;
        if (n < 0)
            broken(v, errno);
    }
}

/* Go on with a connection.  Returns whether it has ended. */
static int go_on(struct visit *v) {
    int all_sent, ended;
    switch (v->kind->end) {
    case BY_RESET_AHEAD:
        if (!send_rest(v))
            return 0;
        end_visit(v, 1);
        return 1;
    case BY_ABORT:
        if (!send_rest(v) || !await_reset(v))
            return 0;
        end_visit(v, 0);
        return 1;
    case BY_SERVER:
        if (!receive_rest(v))
            return 0;
        end_visit(v, 0);
        return 1;
    case BY_CLOSE:
    case BY_RESET:
        send_rest(v);
        if (receive_rest(v))
            wrong(v, "the server has closed");
        if (v->received < v->kind->size)
            return 0;
        end_visit(v, v->kind->end == BY_RESET);
        return 1;
    case BY_HALF_CLOSE:
        all_sent = send_rest(v);
        ended = receive_rest(v);
        if (!ended)
            return 0;
        if (!all_sent || v->received < v->kind->size)
            wrong(v, "the server has closed");
        end_visit(v, 0);
        return 1;
    }
    return 0;
}

/* Connections in turn come from different addresses; the port is chosen by connect(). */
static void open_visit(struct visit *v) {
    unsigned kind = deck[turn % DECK];
    unsigned source = turn % SOURCES;
    uint32_t address = INADDR_LOOPBACK + ((kind + 1) << 16) + source / 250 * 256 + source % 250;
    struct sockaddr_in client = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = STALL_SECONDS};
    struct epoll_event interest = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                   .data.ptr = v};
    int on = 1;

    *v = (struct visit){.fd = socket(AF_INET, SOCK_STREAM, 0), .kind = &kinds[kind]};
    /* On Linux the send timeout bounds connect() too; MSG_DONTWAIT does the rest. */
    if (v->fd < 0 || setsockopt(v->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0 ||
        bind(v->fd, (struct sockaddr *)&client, sizeof client) < 0 ||
        setsockopt(v->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0 ||
        connect(v->fd, (struct sockaddr *)&server, sizeof server) < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, v->fd, &interest) < 0)
        die("%s: cannot connect to port %d: %s", v->kind->name, port, strerror(errno));
    made[kind]++;
    turn++;
}

static void stalled(const struct visit *visits, unsigned slots) {
    unsigned open[KINDS] = {0};
    for (unsigned i = 0; i < slots; i++)
        if (visits[i].fd >= 0)
            open[visits[i].kind - kinds]++;
    for (unsigned kind = 0; kind < KINDS; kind++)
        if (open[kind] > 0)
            fprintf(stderr, "%s: %u open; ", kinds[kind].name, open[kind]);
    die("nothing happened for %d seconds", STALL_SECONDS);
}

static void report(int64_t elapsed, int64_t cpu) {
    printf("{\"elapsed_seconds\": %.9f, \"load_cpu_seconds\": %.9f, \"connections\": {",
           (double)elapsed * 1e-9, (double)cpu * 1e-9);
    for (unsigned kind = 0; kind < KINDS; kind++)
        printf("%s\"%s\": %lu", kind ? ", " : "", kinds[kind].name, made[kind]);
    puts("}}");
    fflush(stdout);
}

/* Make so many connections, and see all of them end. */
static void run(struct visit *visits, unsigned slots, unsigned long wanted) {
    int64_t cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID), began = nanoseconds(CLOCK_MONOTONIC);
    unsigned open = 0;
    struct epoll_event events[BATCH];

    memset(made, 0, sizeof made);
    for (unsigned i = 0; i < slots && wanted > 0; i++, wanted--, open++)
        open_visit(&visits[i]);
    while (open > 0) {
        int ready = epoll_wait(epoll, events, BATCH, STALL_SECONDS * 1000);
        if (ready == 0)
            stalled(visits, slots);
        if (ready < 0 && errno != EINTR)
            die("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < ready; i++) {
            struct visit *v = events[i].data.ptr;
            if (!go_on(v))
                continue;
            if (wanted > 0) {
                open_visit(v);
                wanted--;
            } else {
                open--;
            }
        }
    }
    report(nanoseconds(CLOCK_MONOTONIC) - began, nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
}

int main(int argc, char **argv) {
    char line[LINE];
    unsigned card = 0;

    if (argc != 3)
        die("usage: soak PORT SLOTS");
    port = atoi(argv[1]);
    int slots = atoi(argv[2]);
    if (port < 1 || port > 65535 || slots < 1)
        die("soak: an argument is out of range");
    for (unsigned i = 0; i < MOST; i++)
        pattern[i] = (char)(i % 251);
    for (unsigned kind = 0; kind < KINDS; kind++)
        for (unsigned i = 0; i < kinds[kind].share; i++)
            deck[card++ * STRIDE % DECK] = kind;

    epoll = epoll_create1(0);
    if (epoll < 0)
        die("epoll_create1: %s", strerror(errno));
    struct visit *visits = allocate(NULL, (size_t)slots * sizeof *visits);
    for (int i = 0; i < slots; i++)
        visits[i].fd = -1;
    while (fgets(line, sizeof line, stdin) != NULL)
        run(visits, (unsigned)slots, strtoul(line, NULL, 10));
    return 0;
}
