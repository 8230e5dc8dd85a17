// Danger: a process that replaces itself twenty times, by every function of the exec family.
// build: gcc -O2 -g
#define LEDGER_PEAK
#define _GNU_SOURCE
#include "ledger.h"
#include <stdio.h>

extern char **environ;

int main(int argc, char **argv) {
    int round = argc > 1 ? atoi(argv[1]) : 0;
    for (int i = 0; i <= round; i++)
        took(MALLOC, 4099, malloc(4099));
    ledger_write();
    if (round == 20)
        return 20;
    char next[12];
    snprintf(next, sizeof next, "%d", round + 1);
    char *arguments[] = {argv[0], next, NULL};
    switch (round % 7) {
    case 0: execl(argv[0], argv[0], next, NULL); break;
    case 1: execlp(argv[0], argv[0], next, NULL); break;
    case 2: execle(argv[0], argv[0], next, NULL, environ); break;
    case 3: execv(argv[0], arguments); break;
    case 4: execvp(argv[0], arguments); break;
    case 5: execvpe(argv[0], arguments, environ); break;
    case 6: fexecve(open(argv[0], O_RDONLY | O_CLOEXEC), arguments, environ); break;
    }
    return 99;
}
