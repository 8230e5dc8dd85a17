// Danger: much is recorded, then a block is lost; and when exit flushes the streams, after all destructors and the last
// look, something more is done: nothing, much is allocated, it crashes, much is allocated and it becomes another program.
// argument: which of these
// build: gcc -O0 -g

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *way;

static ssize_t when_flushed(void *cookie, const char *bytes, size_t length) {
    (void)cookie, (void)bytes;
    if (!strcmp(way, "allocates") || !strcmp(way, "execs"))
        for (int i = 0; i < 300000; i++) free(malloc(100 + i % 10));
    if (!strcmp(way, "crashes")) *(volatile int *)4099 = 1;
    if (!strcmp(way, "execs")) execl("/bin/true", "true", (char *)0);
    return length;
}

static __attribute__((noinline)) void lose(void) { memset(malloc(1045), 0, 1045); }

int main(int argc, char **argv) {
    way = argc > 1 ? argv[1] : "nothing";
    FILE *stream = fopencookie(0, "w", (cookie_io_functions_t){.write = when_flushed});
    fputs("x", stream);
    lose();
    for (int i = 0; i < 500000; i++) {
        void *volatile block = malloc(i % 900);
        free(block);
    }
    return 3;
}
