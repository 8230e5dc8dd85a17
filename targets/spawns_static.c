// Danger: a recorded program starts one that cannot be recorded.
// argument: the other program
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv) {
    took(MALLOC, 4099, malloc(4099));
    pid_t child;
    int status;
    if (argc != 2 || posix_spawn(&child, argv[1], NULL, NULL, argv + 1, environ) != 0)
        return 1;
    waitpid(child, &status, 0);
    ledger_write();
    return WEXITSTATUS(status);
}
