// Danger: handlers that allocate: raised, raised again inside, and on an alternate stack.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <signal.h>

static volatile int depth;

static void handler(int signal) {
    void *p = took(MALLOC, 4099, malloc(4099));
    depth = depth + 1;
    if (depth < 3)
        raise(signal); // SA_NODEFER: handled inside the handler
    depth = depth - 1;
    give(4099, p);
}

int main(void) {
    static char stack[1 << 16];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, NULL);
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NODEFER};
    sigaction(SIGUSR1, &action, NULL);
    action.sa_flags |= SA_ONSTACK;
    sigaction(SIGUSR2, &action, NULL);
    for (int i = 0; i < 1000; i++) {
        void *p = took(MALLOC, 10007, malloc(10007));
        raise(i % 2 ? SIGUSR1 : SIGUSR2);
        give(10007, p);
    }
    took(MALLOC, 1013, malloc(1013));
    ledger_write();
    return 0;
}
