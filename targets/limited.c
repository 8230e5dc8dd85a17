// Danger: little address space (as) or few descriptors (nofile), set before the image begins.
// argument: as | nofile
// build: gcc -O2 -g -pthread
#include "ledger.h"
#include <pthread.h>
#include <sys/resource.h>

static void *body(void *unused) {
    (void)unused;
    return took(MALLOC, 1013, malloc(1013));
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 3;
    int as = strcmp(argv[1], "as") == 0;
    if (argc < 3) {
        ledger_write();
        // Bare, this program needs about 90 MB (thread stacks and arenas): that and 64 MB.
        struct rlimit limit = {as ? 160 << 20 : 8, as ? 160 << 20 : 8};
        setrlimit(as ? RLIMIT_AS : RLIMIT_NOFILE, &limit);
        execl(argv[0], argv[0], argv[1], "limited", NULL);
        _exit(1);
    }
    for (int i = 0; i < 1000; i++)
        give(4099, took(MALLOC, 4099, malloc(4099)));
    int opened = 0, last = -1;
    for (int fd; (fd = open("/dev/null", O_RDONLY)) >= 0 && opened < 16; opened++)
        last = fd;
    while (last > 2)
        close(last--);
    pthread_t thread;
    void *block;
    if (pthread_create(&thread, NULL, body, NULL) != 0)
        return 2;
    pthread_join(thread, &block);
    give(1013, block);
    took(MALLOC, 10007, malloc(10007));
    ledger_write();
    return as ? 0 : opened;
}
