/* Subscribers of one channel on 127.0.0.1, and one who publishes to it.
 *
 *     load_publish PORT SUBSCRIBERS SIZE BURST
 *
 * Everyone says "SUBSCRIBE bench" and reads "OK"; the publisher says "PUBLISH bench TEXT", with SIZE
 * bytes of TEXT, and reads the number of subscribers, who read "* MESSAGE bench TEXT".  BURST of
 * these are published in one piece; when everybody has all of them and the publisher its replies,
 * the next burst begins.
 *
 * Orders, what is told of them, and how it ends are those of load.c: a round trip is one message at
 * one subscriber, its latency the time from when it was published.  Every byte is compared.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <unistd.h>

#include "load_common.h"

enum {
    BATCH = 256,         /* events taken from one epoll_wait */
    LINE = 64,           /* bytes of an order, and of a short reply */
    CHUNK = 1 << 16,     /* bytes received at a time */
    TEXTS = 128,         /* that differ; a burst is not longer */
    WAITING = 32,        /* connections made at a time, fewer than a server lets wait */
};

static const char subscribing[] = "SUBSCRIBE bench\r\n", ok[] = "OK\r\n";

struct connection {
    int fd;
    unsigned index;
    size_t at;           /* where in the messages the next byte stands */
    size_t to_receive;   /* bytes */
};

/* As many lines of one length as there are texts, twice: whichever is the first, all the others
 * stand behind it. */
struct lines {
    char *bytes;
    size_t length;       /* of a line */
};

static int port, epoll;
static size_t burst, size;
static char received[CHUNK]; /* shared: what was compared is not needed again */
static struct lines published, messages;
static char *replies;          /* to a burst */
static size_t replies_size;

static void make_lines(struct lines *lines, const char *head) {
    lines->length = strlen(head) + size + 2;
    lines->bytes = allocate(NULL, 2 * TEXTS * lines->length);
    for (size_t i = 0; i < 2 * TEXTS; i++) {
        char *line = lines->bytes + i * lines->length, *text = line + strlen(head);
        memcpy(line, head, strlen(head));
        for (size_t j = 0; j < size; j++)
            text[j] = (char)('a' + (i % TEXTS + j / 2) % 26);
        text[0] = (char)('A' + i % TEXTS / 26); /* the texts differ in their beginning */
        memcpy(text + size, "\r\n", 2);
    }
}

static void make_replies(unsigned subscribers) {
    char line[LINE];
    int length = snprintf(line, sizeof line, "%u\r\n", subscribers);
    replies_size = burst * (size_t)length;
    replies = allocate(NULL, replies_size + 1);
    for (size_t i = 0; i < burst; i++)
        memcpy(replies + i * (size_t)length, line, (size_t)length);
}

/* While sockets block: say something, and read what has to be the reply. */
static void expect(struct connection *c, const char *reply, size_t expected) {
    char found[CHUNK];
    size_t had = 0;

    while (had < expected) {
        ssize_t n = recv(c->fd, found + had, expected - had, 0);
        if (n <= 0)
            die("connection %u: no reply: %s", c->index, n ? strerror(errno) : "it was closed");
        had += (size_t)n;
    }
    if (memcmp(found, reply, expected) != 0)
        die("connection %u: a wrong reply: %.*s", c->index, (int)expected, found);
}

static void say(struct connection *c, const char *data, size_t length) {
    if (send(c->fd, data, length, MSG_NOSIGNAL) != (ssize_t)length)
        die("connection %u broke while sending: %s", c->index, strerror(errno));
}

static void open_connection(struct connection *c, unsigned index) {
    struct timeval patience = {.tv_sec = STALL_SECONDS};
    memset(c, 0, sizeof *c);
    c->index = index;
    c->fd = connect_to(port, index, 1);
    if (setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
        die("connection %u: %s", index, strerror(errno));
}

static void subscribe(struct connection *connections, unsigned count) {
    for (unsigned done = 0; done < count; done += WAITING) {
        unsigned end = done + WAITING < count ? done + WAITING : count;
        for (unsigned i = done; i < end; i++) {
            open_connection(&connections[i], i);
            say(&connections[i], subscribing, sizeof subscribing - 1);
        }
        for (unsigned i = done; i < end; i++) {
            struct epoll_event interest = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
                                           .data.ptr = &connections[i]};
            expect(&connections[i], ok, sizeof ok - 1);
            if (epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &interest) < 0)
                die("connection %u: epoll_ctl: %s", i, strerror(errno));
        }
    }
}

/* Take and compare what has arrived.  Returns whether that completes the burst. */
static int receive(struct connection *c, int64_t published_at) {
    for (;;) {
        ssize_t n = recv(c->fd, received, sizeof received, MSG_DONTWAIT);
        if (n == 0)
            die("connection %u was closed by the server", c->index);
        if (n < 0) {
            if (errno == EAGAIN)
                return 0;
            die("connection %u broke while receiving: %s", c->index, strerror(errno));
        }
        size_t count = (size_t)n, had = c->at % messages.length;
        if (count > c->to_receive)
            die("connection %u: the server sent more than was published", c->index);
        if (memcmp(received, messages.bytes + c->at, count) != 0)
            die("connection %u: a wrong message", c->index);
        int64_t now = nanoseconds(CLOCK_MONOTONIC);
        for (had += count; had >= messages.length; had -= messages.length)
            record(now - published_at);
        c->at = (c->at + count) % (TEXTS * messages.length);
        c->to_receive -= count;
        if (count < sizeof received)
            return c->to_receive == 0; /* what comes next is a new edge */
    }
}

/* Publish until some nanoseconds are over, and wait until everybody has everything. */
static void run(struct connection *subscribers, unsigned count, struct connection *publisher,
                int64_t duration) {
    static size_t text; /* the next one */
    int64_t cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    int64_t began = nanoseconds(CLOCK_MONOTONIC), now = began;
    struct epoll_event events[BATCH];

    measured = 0;
    do {
        unsigned busy = count;
        for (unsigned i = 0; i < count; i++)
            subscribers[i].to_receive = burst * messages.length;
        say(publisher, published.bytes + text * published.length, burst * published.length);
        text = (text + burst) % TEXTS;
        int64_t published_at = now;
        while (busy > 0) {
            int ready = epoll_wait(epoll, events, BATCH, STALL_SECONDS * 1000);
            if (ready == 0)
                die("nothing came for %d seconds to %u subscribers", STALL_SECONDS, busy);
            if (ready < 0 && errno != EINTR)
                die("epoll_wait: %s", strerror(errno));
            for (int i = 0; i < ready; i++) {
                struct connection *c = events[i].data.ptr;
                if (events[i].events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
                    die("connection %u was closed by the server", c->index);
                busy -= (unsigned)receive(c, published_at);
            }
        }
        expect(publisher, replies, replies_size);
        now = nanoseconds(CLOCK_MONOTONIC);
    } while (now - began < duration);
    report(now - began, nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
}

int main(int argc, char **argv) {
    char line[LINE];

    if (argc != 5)
        die("usage: load_publish PORT SUBSCRIBERS SIZE BURST");
    port = atoi(argv[1]);
    int count = atoi(argv[2]);
    size = strtoull(argv[3], NULL, 10);
    burst = strtoull(argv[4], NULL, 10);
    if (port < 1 || port > 65535 || count < 1 || size < 1 || burst < 1 || burst > TEXTS)
        die("load_publish: an argument is out of range");
    make_lines(&published, "PUBLISH bench ");
    make_lines(&messages, "* MESSAGE bench ");
    make_replies((unsigned)count);
    epoll = epoll_create1(0);
    if (epoll < 0)
        die("epoll_create1: %s", strerror(errno));
    struct connection *subscribers = allocate(NULL, (size_t)count * sizeof *subscribers);
    subscribe(subscribers, (unsigned)count);
    struct connection publisher;
    open_connection(&publisher, (unsigned)count);
    while (fgets(line, sizeof line, stdin) != NULL)
        run(subscribers, (unsigned)count, &publisher, (int64_t)(atof(line) * 1e9));
    return 0;
}
