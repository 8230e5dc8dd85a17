// Danger: exec with an empty environment (env -i), and with one that names another preload.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <stdio.h>

extern char **environ;

int main(int argc, char **argv) {
    took(MALLOC, 4099, malloc(4099));
    if (argc > 1) {
        // What the program sees of its environment is what it was given.
        setenv("LEDGER", argv[1], 1);
        int variables = 0;
        for (char **each = environ; *each != NULL; each++)
            variables += strncmp(*each, "LD_PRELOAD=", 11) != 0 &&
                         strncmp(*each, "HEAPTAPE_", 9) != 0 && strncmp(*each, "LEDGER=", 7) != 0;
        took(MALLOC, 10007, malloc(10007));
        ledger_write();
        return variables;
    }
    ledger_write();
    char *arguments[] = {argv[0], getenv("LEDGER"), NULL};
    char *empty[] = {NULL};
    execve(argv[0], arguments, empty);
    return 99;
}
