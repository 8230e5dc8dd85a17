// Danger: a forked child that does nothing but execv, before and after its parent's first allocation.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <sys/wait.h>

int main(int argc, char **argv) {
    if (argc > 1) {
        took(MALLOC, 10007, malloc(10007));
        ledger_write();
        return 5;
    }
    char *arguments[] = {argv[0], "child", NULL};
    int sum = 0;
    for (int i = 0; i < 4; i++) {
        if (i == 2)
            took(MALLOC, 4099, malloc(4099));
        pid_t child = fork();
        if (child == 0) {
            execv(argv[0], arguments);
            _exit(1);
        }
        int status;
        waitpid(child, &status, 0);
        sum += WEXITSTATUS(status);
    }
    ledger_write();
    return sum; // 4 × 5
}
