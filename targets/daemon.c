// Danger: a daemon: every descriptor closed, double fork, new session, and only then the work.
// build: gcc -O2 -g
#define LEDGER_PEAK
#define _GNU_SOURCE
#include "ledger.h"
#include <sys/wait.h>

int main(void) {
    void *kept = took(MALLOC, 4099, malloc(4099));
    int done[2];
    if (pipe(done) != 0)
        return 1;
    // Only to know when the daemon is finished.
    dup2(done[1], 60);
    close(done[1]);
    if (fork() == 0) {
        ledger_forked();
        setsid();
        if (fork() != 0) {
            ledger_write();
            _exit(0);
        }
        ledger_forked();
        for (int fd = 0; fd < 60; fd++)
            close(fd);
        closefrom(61);
        if (chdir("/") != 0)
            _exit(2);
        give(4099, kept);
        for (int i = 0; i < 1000; i++)
            give(1013, took(MALLOC, 1013, malloc(1013)));
        took(MALLOC, 10007, malloc(10007));
        ledger_write();
        _exit(write(60, "x", 1) == 1 ? 0 : 3);
    }
    int status;
    wait(&status);
    close(60);
    char byte;
    ssize_t got = read(done[0], &byte, 1);
    usleep(20000); // let the daemon end before us
    ledger_write();
    return got == 1 ? 0 : 4;
}
