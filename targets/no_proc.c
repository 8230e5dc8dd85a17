// Danger: a root directory without /proc, /dev and libraries. Needs root: else it exits with 77.
// argument: an empty directory
// build: gcc -O2 -g
#define LEDGER_PEAK
#define _GNU_SOURCE
#include "ledger.h"
#include <pthread.h>
#include <sys/wait.h>

static void *in_thread(void *unused) {
    (void)unused;
    return took(MALLOC, 10007, malloc(10007));
}

int main(int argc, char **argv) {
    int ledger = open(argc > 1 ? argv[1] : "", O_DIRECTORY | O_RDONLY);
    if (ledger < 0)
        return 1;
    void *kept = took(MALLOC, 4099, malloc(4099));
    if (chroot(argv[1]) != 0)
        return 77;
    if (chdir("/") != 0)
        return 2;
    // The ledger lies in the new root.
    setenv("LEDGER", strrchr(getenv("LEDGER"), '/'), 1);
    pthread_t thread;
    void *block;
    pthread_create(&thread, NULL, in_thread, NULL);
    pthread_join(thread, &block);
    give(10007, block);
    pid_t child = fork();
    if (child == 0) {
        ledger_forked();
        give(4099, kept);
        took(MALLOC, 1013, malloc(1013));
        ledger_write();
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    ledger_write();
    return WEXITSTATUS(status);
}
