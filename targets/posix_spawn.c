// Danger: posix_spawn and posix_spawnp, with file actions (which allocate), and one that fails.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv) {
    if (argc > 1) {
        void *p = took(CALLOC, 10007, calloc(1, 10007));
        give(10007, p);
        took(MALLOC, 1013, malloc(1013));
        ledger_write();
        return 4;
    }
    char *arguments[] = {argv[0], (char *)"child", NULL};
    took(MALLOC, 4099, malloc(4099));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    int sum = 0;
    for (int i = 0; i < 4; i++) {
        pid_t child;
        int status = 0;
        int error = i % 2 ? posix_spawn(&child, argv[0], &actions, NULL, arguments, environ)
                          : posix_spawnp(&child, argv[0], &actions, NULL, arguments, environ);
        if (error != 0)
            return 1;
        waitpid(child, &status, 0);
        sum += WEXITSTATUS(status);
    }
    pid_t nobody;
    if (posix_spawn(&nobody, "/nonexistent/program", NULL, NULL, arguments, environ) == 0)
        return 2;
    posix_spawn_file_actions_destroy(&actions);
    ledger_write();
    return sum;
}
