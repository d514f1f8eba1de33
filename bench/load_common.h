/* What the closed-loop loads share: connections to 127.0.0.1, and what is told of an order. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "common.h"

enum {
    SOURCES = 250,       /* addresses that connections come from, from 127.0.0.2 */
    STALL_SECONDS = 5,   /* without any event, or for one connect */
};

static int64_t *latencies;     /* nanoseconds, one for each round trip of this order */
static size_t measured, room;  /* used and allocated items of latencies */

/* Connections in turn come from different addresses; the port is chosen by connect(). */
static int bind_to_next_source(int fd) {
    static unsigned turn;
    struct sockaddr_in source = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn++ % SOURCES)};
    int on = 1;
    return setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0 ||
           bind(fd, (struct sockaddr *)&source, sizeof source) < 0;
}

/* A connection that sends small messages at once; from an address of many, or from 127.0.0.1. */
static int connect_to(int port, unsigned index, int from_many) {
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = STALL_SECONDS};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || (from_many && bind_to_next_source(fd)))
        die("connection %u: no socket: %s", index, strerror(errno));
    /* On Linux the send timeout bounds connect() too; MSG_DONTWAIT does the rest. */
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        die("connection %u: cannot connect to port %d: %s", index, port, strerror(errno));
    return fd;
}

static void record(int64_t latency) {
    if (measured == room) {
        room = room ? room * 2 : 65536;
        latencies = allocate(latencies, room * sizeof *latencies);
    }
    latencies[measured++] = latency;
}

static int ascending(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static void report(int64_t elapsed, int64_t cpu) {
    double sum = 0;
    for (size_t i = 0; i < measured; i++)
        sum += (double)latencies[i];
    qsort(latencies, measured, sizeof *latencies, ascending);
    printf("{\"round_trips\": %zu, \"elapsed_seconds\": %.9f, \"load_cpu_seconds\": %.9f, "
           "\"latency_mean_us\": %.3f, \"latency_p50_us\": %.3f, \"latency_p99_us\": %.3f}\n",
           measured, (double)elapsed * 1e-9, (double)cpu * 1e-9, sum / (double)measured * 1e-3,
           (double)latencies[(measured - 1) / 2] * 1e-3,
           (double)latencies[(size_t)((double)(measured - 1) * 0.99)] * 1e-3);
    fflush(stdout);
}
