// Danger: leaving a signal handler by siglongjmp, after allocating in it, on an alternate stack too.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <setjmp.h>
#include <signal.h>

static sigjmp_buf top;
static void *volatile slot;

static void handler(int signal) {
    (void)signal;
    slot = took(MALLOC, 4099, malloc(4099));
    siglongjmp(top, 1);
}

int main(void) {
    static char stack[1 << 16];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, NULL);
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, NULL);
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGSEGV, &action, NULL);
    for (volatile int i = 0; i < 1000; i++) {
        if (sigsetjmp(top, 1) == 0) {
            if (i % 2)
                raise(SIGUSR1);
            else
                *(volatile int *)16 = 1; // a real fault
        } else {
            give(4099, slot);
        }
    }
    ledger_write();
    return 0;
}
