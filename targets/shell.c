// Danger: system() and popen(), which start a shell that starts this program again.
// build: gcc -O2 -g
#define LEDGER_PEAK
#define _GNU_SOURCE
#include "ledger.h"
#include <stdio.h>
#include <sys/wait.h>

int main(int argc, char **argv) {
    if (argc > 1) {
        void *p = took(MALLOC, 10007, malloc(10007));
        give(10007, p);
        ledger_write();
        printf("child\n");
        return 6;
    }
    took(MALLOC, 4099, malloc(4099));
    char command[4200];
    snprintf(command, sizeof command, "%s child; exit $?", argv[0]);
    int status = system(command);
    snprintf(command, sizeof command, "exec %s child", argv[0]);
    FILE *pipe = popen(command, "r");
    char line[64] = "";
    if (fgets(line, sizeof line, pipe) == NULL)
        return 1;
    int second = pclose(pipe);
    printf("read %s", line);
    took(MALLOC, 4099, malloc(4099));
    ledger_write();
    return WEXITSTATUS(status) + WEXITSTATUS(second);
}
