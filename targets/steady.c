// Danger: something happens to the recorder's other end, or to the launcher, in mid-run. Makes the
// file `ready`, allocates until there is a file `go`, allocates far more than a ring holds, and makes
// the file `done`.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"

static void make(const char *name) { close(open(name, O_WRONLY | O_CREAT, 0600)); }

int main(void) {
    for (int i = 0; i < 1000; i++)
        give(1013, took(MALLOC, 1013, malloc(1013)));
    make("ready");
    while (access("go", F_OK) != 0) {
        free(malloc(77));
        usleep(1000);
    }
    for (int i = 0; i < 300000; i++)
        give(1201, took(MALLOC, 1201, malloc(1201)));
    took(MALLOC, 4099, malloc(4099));
    ledger_write();
    make("done");
    return 3;
}
