// Danger: a timer interrupts malloc and free thousands of times, wherever they are. The handler itself
// does not allocate (that would be the program's own error); it saves and restores errno.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <errno.h>
#include <signal.h>
#include <sys/time.h>

static volatile int ticks;

static void on_tick(int signal) {
    (void)signal;
    int saved = errno;
    ticks++;
    getppid();
    errno = saved;
}

int main(void) {
    struct sigaction action = {.sa_handler = on_tick};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval every = {{0, 50}, {0, 50}};
    setitimer(ITIMER_REAL, &every, NULL);
    for (int i = 0; i < 200000; i++) {
        errno = 77;
        void *p = took(MALLOC, 1013, malloc(1013));
        give(1013, p);
        if (errno != 77)
            return 1;
    }
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
    ledger_write();
    return ticks > 0 ? 0 : 2;
}
