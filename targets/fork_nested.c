// Danger: a child of a child of a child, each freeing a block of every ancestor.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <sys/wait.h>

#define DEPTH 5

static void *blocks[DEPTH][DEPTH];

static int descend(int depth) {
    for (int i = 0; i < DEPTH; i++)
        blocks[depth][i] = took(MALLOC, 4099 + 2 * (size_t)depth, malloc(4099 + 2 * (size_t)depth));
    int deepest = depth;
    if (depth + 1 < DEPTH) {
        pid_t child = fork();
        if (child == 0) {
            ledger_forked();
            for (int above = 0; above <= depth; above++)
                give(4099 + 2 * (size_t)above, blocks[above][depth]);
            _exit(descend(depth + 1));
        }
        int status;
        waitpid(child, &status, 0);
        deepest = WEXITSTATUS(status);
    }
    ledger_write();
    return deepest;
}

int main(void) { return descend(0); }
