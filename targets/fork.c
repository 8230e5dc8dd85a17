// Danger: a forked child frees blocks that its parent allocated, reallocs others, and allocates anew.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <sys/wait.h>

int main(void) {
    void *blocks[100];
    for (int i = 0; i < 100; i++)
        blocks[i] = took(MALLOC, 4099, malloc(4099));
    pid_t child = fork();
    if (child == 0) {
        ledger_forked();
        for (int i = 0; i < 50; i++)
            give(4099, blocks[i]);
        for (int i = 50; i < 60; i++)
            blocks[i] = retook(REALLOC, 4099, 10007, realloc(blocks[i], 10007));
        for (int i = 0; i < 200; i++) {
            void *p = took(MALLOC, 4099, malloc(4099));
            if (i % 4 != 0)
                give(4099, p);
        }
        ledger_write();
        _exit(7);
    }
    int status;
    waitpid(child, &status, 0);
    for (int i = 0; i < 90; i++)
        give(4099, blocks[i]);
    took(MALLOC, 10007, malloc(10007));
    ledger_write();
    return WEXITSTATUS(status);
}
