/* A closed-loop load for servers on 127.0.0.1 that answer requests in order.
 *
 *     load_lines PORT CONNECTIONS DEPTH SCRIPT
 *
 * SCRIPT is a file of requests and their replies, as bench/_dialogue.py writes it: for each two
 * lengths, 32 bits in the machine's order, then the request and the reply.  Every connection says
 * all of them again and again, each beginning with another, and has DEPTH of them in flight: for
 * every reply that has come another request is sent, what is due at the same time in one piece.
 * DEPTH is at most the number of requests.
 *
 * What a server says before its first reply (a greeting, the options of Telnet) is passed over:
 * each connection has one request answered when it is opened.
 *
 * Orders, what is told of them, and how it ends are those of load.c.  Every byte that comes back is
 * compared.
 */
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <unistd.h>

#include "load_common.h"

enum {
    BATCH = 256,         /* events taken from one epoll_wait */
    LINE = 64,           /* bytes of an order */
    CHUNK = 1 << 18,     /* bytes received at a time */
    GREETING = 4096,     /* bytes before the first reply, at most */
    MAX_DEPTH = 10000,
    STEP = 7919,         /* from the first request of one connection to the next one's */
};

/* Requests or replies, one behind the other: all of them twice, so that as many as there are stand
 * behind each other whichever is the first. */
struct texts {
    char *bytes;
    size_t *starts;      /* of each, and where the last one ends */
    size_t size;         /* of all of them, once */
};

struct connection {
    int fd;
    unsigned index;
    size_t next;         /* the request that comes next */
    size_t first;        /* the request whose reply is due */
    size_t in_flight;    /* requests */
    size_t sent_to;      /* in the bytes of the requests */
    size_t to_send;      /* bytes */
    size_t had;          /* bytes of that reply */
    size_t to_receive;   /* bytes, of all that are in flight */
    int64_t *began;      /* nanoseconds, a ring of as many as may be in flight */
    size_t oldest;       /* in it */
};

static int port, epoll;
static size_t depth, count;    /* requests in flight, and those that there are */
static struct texts requests, replies;
static char *received;         /* CHUNK bytes, shared: what was compared is not needed again */

static size_t length_of(const struct texts *texts, size_t index) {
    return texts->starts[index + 1] - texts->starts[index];
}

/* Add the one with the number that count is. */
static void add(struct texts *texts, const char *bytes, size_t size) {
    texts->bytes = allocate(texts->bytes, texts->size + size);
    texts->starts = allocate(texts->starts, (count + 2) * sizeof *texts->starts);
    memcpy(texts->bytes + texts->size, bytes, size);
    texts->starts[count] = texts->size;
    texts->size += size;
    texts->starts[count + 1] = texts->size;
}

static void double_up(struct texts *texts) {
    texts->bytes = allocate(texts->bytes, texts->size * 2);
    memcpy(texts->bytes + texts->size, texts->bytes, texts->size);
}

static void read_script(const char *path) {
    FILE *file = fopen(path, "rb");
    uint32_t sizes[2];
    char *bytes = NULL;

    if (file == NULL)
        die("%s: %s", path, strerror(errno));
    while (fread(sizes, sizeof sizes, 1, file) == 1) {
        size_t size = (size_t)sizes[0] + sizes[1];
        bytes = allocate(bytes, size);
        if (sizes[0] == 0 || sizes[1] == 0 || fread(bytes, size, 1, file) != 1)
            die("%s is no script", path);
        add(&requests, bytes, sizes[0]);
        add(&replies, bytes + sizes[0], sizes[1]);
        count++;
    }
    free(bytes);
    fclose(file);
    if (depth > count)
        die("%s has %zu requests: expected as many as are to be in flight, %zu", path, count, depth);
    double_up(&requests);
    double_up(&replies);
}

/* Have one request answered, whatever is said before, while the socket blocks. */
static void greet(struct connection *c) {
    const char *request = requests.bytes + requests.starts[c->next];
    const char *reply = replies.bytes + replies.starts[c->next];
    size_t size = length_of(&requests, c->next), expected = length_of(&replies, c->next), had = 0;
    struct timeval patience = {.tv_sec = STALL_SECONDS};

    if (setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
        send(c->fd, request, size, MSG_NOSIGNAL) != (ssize_t)size)
        die("connection %u: no first request: %s", c->index, strerror(errno));
    do {
        ssize_t n = recv(c->fd, received + had, GREETING + expected - had, 0);
        if (n <= 0)
            die("connection %u: no first reply behind %zu other bytes", c->index, had);
        had += (size_t)n;
    } while (had < expected || memcmp(received + had - expected, reply, expected) != 0);
    c->next = (c->next + 1) % count;
}

static void open_connection(struct connection *c, unsigned index) {
    struct epoll_event interest = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                   .data.ptr = c};
    memset(c, 0, sizeof *c);
    c->index = index;
    c->next = (size_t)index * STEP % count;
    c->began = allocate(NULL, depth * sizeof *c->began);
    c->fd = connect_to(port, index, 0);
    greet(c);
    c->first = c->next;
    c->sent_to = requests.starts[c->next];
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &interest) < 0)
        die("connection %u: epoll_ctl: %s", index, strerror(errno));
}

/* Send what the socket takes; the next EPOLLOUT sends the rest. */
static void send_rest(struct connection *c) {
    while (c->to_send > 0) {
        ssize_t n = send(c->fd, requests.bytes + c->sent_to, c->to_send,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN)
                return;
            die("connection %u broke while sending: %s", c->index, strerror(errno));
        }
        c->to_send -= (size_t)n;
        c->sent_to = (c->sent_to + (size_t)n) % requests.size;
    }
}

/* Have as many in flight as there may be. */
static void begin_requests(struct connection *c, int64_t now) {
    while (c->in_flight < depth) {
        c->began[(c->oldest + c->in_flight) % depth] = now;
        c->in_flight++;
        c->to_send += length_of(&requests, c->next);
        c->to_receive += length_of(&replies, c->next);
        c->next = (c->next + 1) % count;
    }
    send_rest(c);
}

/* Take and compare what has arrived, and count the replies that are complete. */
static void receive(struct connection *c) {
    for (;;) {
        ssize_t n = recv(c->fd, received, CHUNK, MSG_DONTWAIT);
        if (n == 0)
            die("connection %u was closed by the server", c->index);
        if (n < 0) {
            if (errno == EAGAIN)
                return;
            die("connection %u broke while receiving: %s", c->index, strerror(errno));
        }
        size_t size = (size_t)n;
        if (size > c->to_receive)
            die("connection %u: the server sent more than it was asked for", c->index);
        if (memcmp(received, replies.bytes + replies.starts[c->first] + c->had, size) != 0)
            die("connection %u: a wrong reply to request %zu of the script or behind it", c->index,
                c->first);
        c->to_receive -= size;
        c->had += size;
        int64_t now = nanoseconds(CLOCK_MONOTONIC);
        while (c->in_flight > 0 && c->had >= length_of(&replies, c->first)) {
            c->had -= length_of(&replies, c->first);
            c->first = (c->first + 1) % count;
            record(now - c->began[c->oldest]);
            c->oldest = (c->oldest + 1) % depth;
            c->in_flight--;
        }
        if (size < CHUNK)
            return; /* what comes next is a new edge */
    }
}

/* Keep the connections busy for some nanoseconds. */
static void run(struct connection *connections, unsigned number, int64_t duration) {
    int64_t cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    int64_t began = nanoseconds(CLOCK_MONOTONIC), now = began;
    unsigned busy = number;
    struct epoll_event events[BATCH];

    measured = 0;
    for (unsigned i = 0; i < number; i++)
        begin_requests(&connections[i], nanoseconds(CLOCK_MONOTONIC));
    while (busy > 0) {
        int ready = epoll_wait(epoll, events, BATCH, STALL_SECONDS * 1000);
        if (ready == 0)
            die("nothing came back for %d seconds on %u connections", STALL_SECONDS, busy);
        if (ready < 0 && errno != EINTR)
            die("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            size_t before = c->in_flight;
            if (events[i].events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
                die("connection %u was closed by the server", c->index);
            send_rest(c);
            if (events[i].events & EPOLLIN)
                receive(c);
            now = nanoseconds(CLOCK_MONOTONIC);
            if (c->in_flight == before)
                continue;
            if (now - began < duration)
                begin_requests(c, now);
            else if (c->in_flight == 0)
                busy--;
        }
    }
    report(now - began, nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
}

int main(int argc, char **argv) {
    char line[LINE];

    if (argc != 5)
        die("usage: load_lines PORT CONNECTIONS DEPTH SCRIPT");
    port = atoi(argv[1]);
    int number = atoi(argv[2]);
    depth = strtoull(argv[3], NULL, 10);
    if (port < 1 || port > 65535 || number < 1 || depth < 1 || depth > MAX_DEPTH)
        die("load_lines: an argument is out of range");
    read_script(argv[4]);
    received = allocate(NULL, CHUNK);
    epoll = epoll_create1(0);
    if (epoll < 0)
        die("epoll_create1: %s", strerror(errno));
    struct connection *connections = allocate(NULL, (size_t)number * sizeof *connections);
    for (int i = 0; i < number; i++)
        open_connection(&connections[i], (unsigned)i);
    while (fgets(line, sizeof line, stdin) != NULL)
        run(connections, (unsigned)number, (int64_t)(atof(line) * 1e9));
    return 0;
}
