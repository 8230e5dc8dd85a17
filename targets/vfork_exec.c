// Danger: vfork shares the parent's memory until exec; a failing exec must leave no trace in it.
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
    void *before = took(MALLOC, 4099, malloc(4099));
    int sum = 0;
    for (int i = 0; i < 10; i++) {
        pid_t child = vfork();
        if (child == 0) {
            if (i % 2 == 0)
                execl(argv[0], argv[0], "child", NULL);
            execl("/nonexistent/program", "program", NULL);
            _exit(3);
        }
        int status;
        waitpid(child, &status, 0);
        sum += WEXITSTATUS(status);
        give(4099, before);
        before = took(MALLOC, 4099, malloc(4099));
    }
    ledger_write();
    return sum; // 5 × 5 + 5 × 3
}
