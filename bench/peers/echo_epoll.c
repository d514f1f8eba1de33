/* An echo server that is nothing but epoll, recv and send: what the kernel itself costs.
 *
 * Listens on a free port of 127.0.0.1 and prints it.  A client that does not read is not read from
 * until it has taken what it is owed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 256, CHUNK = 1 << 16 };

struct client {
    int fd;
    char *owed;          /* what one send did not take; NULL when there is nothing */
    size_t start, end;   /* of what is left in it */
};

static int epoll;
static char chunk[CHUNK]; /* shared: a message is sent before the next one is received */

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void watch(struct client *c, int operation, uint32_t events) {
    struct epoll_event interest = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll, operation, c->fd, &interest) < 0)
        die("epoll_ctl");
}

static void drop(struct client *c) {
    close(c->fd);
    free(c->owed);
    free(c);
}

static void accept_clients(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct client *c = calloc(1, sizeof *c);
        if (c == NULL || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
            die("accept");
        c->fd = fd;
        watch(c, EPOLL_CTL_ADD, EPOLLIN);
    }
}

/* Readable: one recv, one send. */
static void echo(struct client *c) {
    ssize_t n = recv(c->fd, chunk, sizeof chunk, 0);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            drop(c);
        return;
    }
    ssize_t sent = send(c->fd, chunk, (size_t)n, MSG_NOSIGNAL);
    if (sent == n)
        return;
    if (sent < 0 && errno != EAGAIN) {
        drop(c);
        return;
    }
    c->start = 0;
    c->end = (size_t)(sent < 0 ? n : n - sent);
    c->owed = malloc(c->end);
    if (c->owed == NULL)
        die("malloc");
    memcpy(c->owed, chunk + (n - (ssize_t)c->end), c->end);
    watch(c, EPOLL_CTL_MOD, EPOLLOUT);
}

/* Writable, while bytes are owed. */
static void settle(struct client *c) {
    ssize_t sent = send(c->fd, c->owed + c->start, c->end - c->start, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN)
            drop(c);
        return;
    }
    c->start += (size_t)sent;
    if (c->start == c->end) {
        free(c->owed);
        c->owed = NULL;
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
    }
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct epoll_event events[BATCH], accepting = {.events = EPOLLIN, .data.ptr = NULL};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    epoll = epoll_create1(0);
    if (listener < 0 || epoll < 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, SOMAXCONN) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &accepting) < 0)
        die("listen");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);

    for (;;) {
        int ready = epoll_wait(epoll, events, BATCH, -1);
        if (ready < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < ready; i++) {
            struct client *c = events[i].data.ptr;
            if (c == NULL)
                accept_clients(listener);
            else if (c->owed != NULL)
                settle(c);
            else
                echo(c);
        }
    }
}
